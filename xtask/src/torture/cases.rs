//! The list of all rows, in the order in which they are run and told.

use super::case::Case;
use super::{clock, crowds, endings, guests, lacking, pipelines, raw, slow};

pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        raw::CASES,
        pipelines::CASES,
        crowds::CASES,
        slow::CASES,
        endings::CASES,
        lacking::CASES,
        clock::CASES,
        guests::CASES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::case::Proof;

    /// Whether there is such a test, as `torture::file::tests::name`.
    fn is_there(test: &str) -> bool {
        let Some((module, name)) = test.split_once("::tests::") else {
            return false;
        };
        let file = format!("src/{}.rs", module.replace("::", "/"));
        let text = std::fs::read_to_string(crate::shell::root().join("xtask").join(file));
        text.is_ok_and(|text| text.contains(&format!("#[test]\n    fn {name}()")))
    }

    #[test]
    fn names_are_different_and_each_row_can_be_proved_to_fail() {
        let names: Vec<&str> = all().map(|case| case.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names.len());
        for case in all() {
            let is_proved = match case.proof {
                Proof::Off(defences) => !defences.is_empty(),
                Proof::Judge(test) => is_there(test),
                Proof::Otherwise { how, .. } => !how.is_empty(),
            };
            assert!(is_proved, "{}", case.name);
        }
    }
}
