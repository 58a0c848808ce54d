//! A row of the table: one attack, what a server should make of it, and how it is known that the row can fail.

use anyhow::Result;
use serde::Serialize;

use super::setting::Setting;

/// One attack.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What it shows, for the legend.
    pub(crate) shows: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) needs: Needs,
    pub(crate) proof: Proof,
    /// It mostly waits, so that it can run beside others of its kind.
    pub(crate) waits: bool,
    pub(crate) run: fn(&Setting) -> Result<Found>,
}

/// What a server must have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It speaks HTTP and answers `/`.
    Http,
    /// It runs guests, and has the hostile one.
    Guest,
    /// It is wasm-gw. The text says what others lack, or what could not be seen of them.
    Gateway(&'static str),
}

/// How it is known that the row can fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// It fails against a server with these defences switched off.
    Off(&'static [&'static str]),
    /// The defence is not ours to switch off. A unit test shows that the row's judge refuses a recorded bad answer.
    Judge(&'static str),
    /// It fails against a server that is run in another way.
    Otherwise {
        how: &'static str,
        run: fn(&Setting) -> Result<Found>,
    },
}

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    said: Vec<String>,
    faults: Vec<String>,
    /// Why it could not be tried here.
    pub(crate) skipped: Option<String>,
}

impl Found {
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self {
            skipped: Some(why.into()),
            ..Self::default()
        }
    }

    /// Something worth a word in the table.
    pub(crate) fn say(&mut self, what: impl Into<String>) {
        self.said.push(what.into());
    }

    /// What must be, or else the row fails by `otherwise`.
    pub(crate) fn demand(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.faults.push(otherwise.into());
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.faults.is_empty() && self.skipped.is_none()
    }

    /// What was got, in a line: first what is wrong.
    pub(crate) fn text(&self) -> String {
        const FAULTS: usize = 3;
        let mut parts: Vec<String> = self.faults.iter().take(FAULTS).cloned().collect();
        if self.faults.len() > FAULTS {
            parts.push(format!("and {} more faults", self.faults.len() - FAULTS));
        }
        parts.extend(self.said.iter().cloned());
        one_line(&parts.join("; "))
    }
}

/// A text as a table can have it.
pub(crate) fn one_line(text: &str) -> String {
    const MOST: usize = 400;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_first_and_a_skipped_row_has_not_passed() {
        let mut found = Found::default();
        found.say("5 asked");
        assert!(found.passed());
        found.demand(true, "never");
        found.demand(false, "late");
        assert!(!found.passed());
        assert_eq!(found.text(), "late; 5 asked");
        assert!(!Found::skipped("no such thing").passed());
    }
}
