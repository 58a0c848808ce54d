//! Native strings: one code point of U+0000..U+00FF for each byte, as PEP 3333
//! has them (`S13`). They are not UTF-8 that was decoded: `é` sent as UTF-8
//! arrives as the two code points U+00C3 U+00A9.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The native string of some bytes.
///
/// ```
/// use wasm_gw_guest::latin1;
/// assert_eq!(latin1::to_latin1_string("é".as_bytes()), "\u{c3}\u{a9}");
/// ```
pub fn to_latin1_string(bytes: &[u8]) -> String {
    if bytes.is_ascii() {
        // ASCII is its own latin-1, and most of what is sent is ASCII.
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        bytes.iter().map(|&byte| char::from(byte)).collect()
    }
}

/// The bytes of a native string.
///
/// ```
/// use wasm_gw_guest::latin1;
/// assert_eq!(latin1::bytes_of("\u{c3}\u{a9}")?, "é".as_bytes());
/// assert_eq!(latin1::bytes_of("€").unwrap_err().character, '€');
/// # Ok::<(), latin1::NotLatin1>(())
/// ```
///
/// # Errors
///
/// The first character that stands for no byte.
pub fn bytes_of(text: &str) -> Result<Vec<u8>, NotLatin1> {
    if text.is_ascii() {
        return Ok(text.as_bytes().to_vec());
    }
    text.chars()
        .map(|character| u8::try_from(character).map_err(|_| NotLatin1 { character }))
        .collect()
}

/// A character above U+00FF in a native string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLatin1 {
    /// The first of them.
    pub character: char,
}

impl fmt::Display for NotLatin1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a character above U+00FF in a native string")
    }
}

impl core::error::Error for NotLatin1 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = to_latin1_string(&all);
        assert_eq!(text.chars().count(), 256);
        assert_eq!(bytes_of(&text), Ok(all));
    }

    #[test]
    fn a_character_above_is_refused() {
        assert_eq!(
            bytes_of("a\u{100}"),
            Err(NotLatin1 {
                character: '\u{100}'
            })
        );
    }
}
