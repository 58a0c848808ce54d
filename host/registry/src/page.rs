//! Lists in parts: how many at once, and where the next part begins. What is listed is in `meta`.
//!
//! A cursor is the number of the last row that was given, enciphered: such numbers count the rows of all tenants. One that
//! this list did not give, or that was altered, does not decipher.

use sha2::{Digest as _, Sha256};

use crate::error::RegistryError;

/// The most items of a page, whatever was asked for.
pub const MAX_LIMIT: u32 = 200;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// What to ask for the next one with, if there is more.
    pub next: Option<String>,
}

/// Where a list goes on, and how far.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    /// The number of the last row that was given.
    pub(crate) after: Option<i64>,
    limit: i64,
    cipher: Cipher,
}

/// What cursors of one list are made with.
#[derive(Clone, Copy)]
struct Cipher([u8; 32]);

impl Part {
    /// `list` says which list it is, and of whom: a cursor is good for one.
    pub(crate) fn new(
        key: &[u8; 32],
        list: (&str, i64),
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Self, RegistryError> {
        let cipher = Cipher(
            Sha256::new()
                .chain_update(key)
                .chain_update(list.1.to_be_bytes())
                .chain_update(list.0)
                .finalize()
                .into(),
        );
        let open = |cursor| cipher.open(cursor).ok_or(RegistryError::Cursor);
        Ok(Self {
            after: cursor.map(open).transpose()?,
            limit: limit.clamp(1, MAX_LIMIT).into(),
            cipher,
        })
    }

    /// How many rows to ask for: one more than is given, to see whether there is more.
    pub(crate) fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// A page of these rows, each with its number.
    pub(crate) fn page<T>(&self, mut rows: Vec<(i64, T)>) -> Page<T> {
        let limit = usize::try_from(self.limit).expect("it is at most 200");
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(|row| row.0).filter(|_| is_more);
        Page {
            next: last.map(|number| self.cipher.seal(number)),
            items: rows.into_iter().map(|row| row.1).collect(),
        }
    }
}

impl Cipher {
    /// A Feistel network of a number and a zero. Whoever alters what comes out of it does not get a zero back.
    fn seal(&self, number: i64) -> String {
        let (mut left, mut right) = (0, number.cast_unsigned());
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.mix(round, right));
        }
        format!("{left:016x}{right:016x}")
    }

    fn open(&self, cursor: &str) -> Option<i64> {
        let is_hex = cursor.len() == 32 && cursor.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (left, right) = is_hex.then(|| cursor.split_at(16))?;
        let mut left = u64::from_str_radix(left, 16).ok()?;
        let mut right = u64::from_str_radix(right, 16).ok()?;
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.mix(round, left), left);
        }
        (left == 0).then_some(right.cast_signed())
    }

    fn mix(&self, round: u8, half: u64) -> u64 {
        let mixed = Sha256::new()
            .chain_update(self.0)
            .chain_update([round])
            .chain_update(half.to_be_bytes())
            .finalize();
        u64::from_be_bytes(*mixed.first_chunk().expect("32 bytes have 8"))
    }
}

const ROUNDS: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_list_alone() {
        let part = |list, cursor: Option<&str>| Part::new(&[7; 32], list, cursor, 1);
        let first = part(("apps", 1), None).unwrap();
        for number in [1, 2, i64::MAX] {
            let cursor = first.page(vec![(number, ()), (9, ())]).next.unwrap();
            let next = part(("apps", 1), Some(&cursor)).unwrap();
            assert_eq!(next.after, Some(number));
            assert!(part(("apps", 2), Some(&cursor)).is_err());
            assert!(part(("tokens", 1), Some(&cursor)).is_err());
            let other = if cursor.starts_with('0') { "1" } else { "0" };
            assert!(part(("apps", 1), Some(&format!("{other}{}", &cursor[1..]))).is_err());
        }
        for bad in ["", "1", &"0".repeat(32), &"é".repeat(16)] {
            assert!(part(("apps", 1), Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_has_at_least_one_item_and_not_too_many() {
        let rows = |limit| {
            Part::new(&[7; 32], ("apps", 1), None, limit)
                .unwrap()
                .rows()
        };
        assert_eq!([rows(0), rows(50), rows(u32::MAX)], [2, 51, 201]);
    }
}
