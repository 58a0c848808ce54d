//! Ids, secrets and challenges: what nobody can guess, and how it is written.

use std::fmt;

use crate::error::RegistryError;

/// The secret of a token, which is told once.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `wgw_` and 43 characters of base64url: 32 random bytes.
    pub(crate) fn new() -> Result<Self, RegistryError> {
        Ok(Self(format!("wgw_{}", base64url(&bytes::<32>()?))))
    }

    /// The text itself. It belongs into no log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An id: the prefix, and 16 hexadecimal digits that say nothing of how many there are.
pub(crate) fn id(prefix: &str) -> Result<String, RegistryError> {
    Ok(format!("{prefix}_{:016x}", u64::from_be_bytes(bytes()?)))
}

/// What a tenant must show to prove that a host is its own.
pub(crate) fn challenge() -> Result<String, RegistryError> {
    Ok(base64url(&bytes::<32>()?))
}

fn bytes<const N: usize>() -> Result<[u8; N], RegistryError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| RegistryError::io("the system's random numbers".as_ref(), error.into()))?;
    Ok(bytes)
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 4];
        three[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(three);
        for place in 0..=chunk.len() {
            let index = bits >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
        ] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn a_secret_has_its_length_and_is_not_shown() {
        let secret = Secret::new().unwrap();
        assert_eq!(secret.as_str().len(), 4 + 43);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
