//! The time for the field Date. hyper adds one too, and goes by when it last did: where the clock is set back, its
//! Date stands still until that time has come again.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// Now, as Date has it. It is written once a second and thread.
pub(crate) fn now() -> HeaderValue {
    thread_local! {
        static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
    }
    let second = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|last| match last {
        Some((of, value)) if *of == second => value.clone(),
        last => last.insert((second, of(second))).1.clone(),
    })
}

fn of(second: u64) -> HeaderValue {
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
    HeaderValue::try_from(text).expect("a date is of letters, digits and blanks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_a_date() {
        assert_eq!(of(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        let now = now();
        assert!(now.to_str().unwrap().ends_with(" GMT"), "{now:?}");
    }
}
