//! What the lint says of a head that was taken: a host sends it, and others may not.

use super::rules::{
    CONTENT_TYPE_WITHOUT_BODY, NAME_ENDING, NO_CONTENT_TYPE, ODD_NAME, Rule, STATUS_BLANK,
    STATUS_FIELD, TAB_IN_VALUE, TWO_LENGTHS, UNUSUAL_STATUS,
};

/// The three digits at the start of a status that was taken.
pub(super) fn code(status: &str) -> Option<u16> {
    status.get(..3)?.parse().ok()
}

/// Whether an answer of this status has no body.
pub(super) fn is_bodiless(code: u16) -> bool {
    matches!(code, 204 | 304)
}

/// What is unwise in a head. Only what there is needs a type (RFC 9110 8.3).
pub(super) fn look(
    status: &str,
    headers: &[(String, String)],
    has_body: bool,
    mut found: impl FnMut(&'static Rule, String),
) {
    if status.len() > 4 && status.ends_with(' ') {
        found(STATUS_BLANK, format!("{status:?}"));
    }
    let code = code(status);
    if code.is_some_and(|code| code >= 600) {
        found(UNUSUAL_STATUS, format!("{status:?}"));
    }
    for (name, value) in headers {
        look_at_field(name, value, &mut found);
    }
    let count = |wanted: &str| {
        let same = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        same.count()
    };
    if count("content-length") > 1 {
        found(TWO_LENGTHS, format!("{} of them", count("content-length")));
    }
    let has_type = count("content-type") > 0;
    let bodiless = code.is_some_and(is_bodiless);
    if bodiless && has_type {
        found(CONTENT_TYPE_WITHOUT_BODY, format!("with {status:?}"));
    }
    if has_body && !bodiless && !has_type {
        found(NO_CONTENT_TYPE, format!("with {status:?}"));
    }
}

fn look_at_field(name: &str, value: &str, found: &mut impl FnMut(&'static Rule, String)) {
    if name.eq_ignore_ascii_case("status") {
        found(STATUS_FIELD, format!("{name:?}: {value:?}"));
    }
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.chars().all(plain) {
        found(ODD_NAME, format!("{name:?}"));
    }
    if name.ends_with(['-', '_']) {
        found(NAME_ENDING, format!("{name:?}"));
    }
    if value.trim_matches([' ', '\t']).contains('\t') {
        found(TAB_IN_VALUE, format!("in {name:?}: {value:?}"));
    }
}
