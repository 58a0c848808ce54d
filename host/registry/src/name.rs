//! The names of tenants and apps: which are allowed. What else has a name, such as a token, may have any.

/// The longest name, in characters.
pub const MAX_NAME: usize = 40;

/// Why a name is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no character at all.
    #[error("a name has at least one character")]
    Empty,
    /// It has more characters than [`MAX_NAME`].
    #[error("a name has at most {MAX_NAME} characters")]
    Long,
    /// It has a character that names do not have.
    #[error("a name has no {0:?}: use a-z, 0-9 and -")]
    Character(char),
    /// It begins or ends with a hyphen.
    #[error("a name begins and ends with a letter or a digit, not with -")]
    Edge,
    /// It has two hyphens in a row, which stand between app and tenant in a label.
    #[error("a name has no two - in a row: use one")]
    Double,
    /// With a tenant behind it, it would be the beginning of a name in another alphabet.
    #[error("\"xn\" is how names in other alphabets begin: use another name")]
    Reserved,
}

/// Whether tenants and apps may be called so: 1 to 40 of `a-z`, `0-9` and `-`, with a letter or digit at both ends and no
/// `--`. Not `xn`, since an app's label may be its name, `--` and more, and a host name that begins with `xn--` is in
/// another alphabet.
///
/// # Errors
///
/// Says which of these it breaks.
///
/// ```
/// use wasm_gw_registry::{NameError, check_name};
///
/// assert_eq!(check_name("shop-2"), Ok(()));
/// assert_eq!(check_name("Shop"), Err(NameError::Character('S')));
/// ```
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let is_allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    if let Some(other) = name.chars().find(|&c| !is_allowed(c)) {
        return Err(NameError::Character(other));
    }
    if name.len() > MAX_NAME {
        return Err(NameError::Long);
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Edge);
    }
    if name.contains("--") {
        return Err(NameError::Double);
    }
    if name == "xn" {
        return Err(NameError::Reserved);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_rule_allows() {
        let longest = "a".repeat(MAX_NAME);
        for good in ["a", "0", "a-b", "a-b-c", "x1", &longest] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for (bad, why) in [
            ("", NameError::Empty),
            (long.as_str(), NameError::Long),
            ("Shop", NameError::Character('S')),
            ("sh op", NameError::Character(' ')),
            ("café", NameError::Character('é')),
            ("a_b", NameError::Character('_')),
            ("-a", NameError::Edge),
            ("a-", NameError::Edge),
            ("a--b", NameError::Double),
            ("xn", NameError::Reserved),
        ] {
            assert_eq!(check_name(bad), Err(why), "{bad}");
        }
    }
}
