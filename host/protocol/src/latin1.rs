//! Native strings: text whose code points U+0000..U+00FF each stand for one byte
//! (PEP 3333; protocol S13 and S60).
//!
//! Not a decoder: bytes that happen to be UTF-8 stay the bytes they are.

use std::borrow::Cow;

/// Bytes as a native string. Borrows when they are ASCII.
pub fn from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// The bytes of UTF-8 text as a native string: "é" becomes "Ã©".
///
/// For what arrived as bytes and was checked to be UTF-8 on the way, as a request target is.
pub fn from_utf8_text(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.bytes().map(char::from).collect())
    }
}

/// Appends bytes to a native string.
pub(crate) fn push(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => out.push_str(text),
        _ => out.extend(bytes.iter().copied().map(char::from)),
    }
}

/// The bytes a native string stands for; none if a code point is above U+00FF.
pub fn to_bytes(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars()
        .map(|c| u8::try_from(c).ok())
        .collect::<Option<Vec<u8>>>()
        .map(Cow::Owned)
}

/// Whether every code point is at most U+00FF.
pub fn is_native(text: &str) -> bool {
    text.is_ascii() || text.chars().all(|c| c <= '\u{FF}')
}

/// The bytes without spaces and tabs around them (RFC 9110 5.6.3, optional whitespace).
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s13_every_byte_is_one_code_point_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = from_bytes(&all);
        assert!(text.chars().map(u32::from).eq(0..=255));
        assert_eq!(to_bytes(&text).as_deref(), Some(all.as_slice()));
        let mut pushed = String::from("x");
        push(&mut pushed, &all);
        assert_eq!(pushed[1..], *text);
    }

    #[test]
    fn s13_utf8_is_not_decoded() {
        assert_eq!(from_bytes("é€".as_bytes()), "Ã©â\u{82}¬");
        assert_eq!(from_utf8_text("é€"), "Ã©â\u{82}¬");
        assert!(matches!(from_bytes(b"plain"), Cow::Borrowed("plain")));
        assert!(matches!(from_utf8_text("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn s60_a_code_point_above_ff_is_no_native_string() {
        for (text, native) in [("", true), ("aÿ", true), ("a\u{100}", false), ("€", false)] {
            assert_eq!(is_native(text), native, "{text:?}");
            assert_eq!(to_bytes(text).is_some(), native, "{text:?}");
        }
    }

    #[test]
    fn only_spaces_and_tabs_are_trimmed() {
        for (raw, trimmed) in [
            (" \t a b\t ", "a b"),
            ("", ""),
            (" \t", ""),
            ("\u{b}a", "\u{b}a"),
        ] {
            assert_eq!(trim(raw.as_bytes()), trimmed.as_bytes(), "{raw:?}");
        }
    }
}
