//! What the guests share: reading a query string, writing JSON, the plain
//! answer. Not a test harness: the tests are in `tests/it`.

use std::time::{Duration, Instant};

use wasm_gw_guest::{Environ, Result, StartResponse};

/// The pairs of a query string, in order and not decoded yet.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Of a request.
    pub fn of(environ: &Environ) -> Self {
        Self::parse(&environ.query())
    }

    /// Of a text. A pair without `=` has the value `""`.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
        )
    }

    /// The first value of a name as it stands there.
    pub fn raw(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first value of a name, percent-decoded, as UTF-8.
    pub fn get(&self, name: &str) -> Option<String> {
        self.raw(name).map(decode_text)
    }

    /// The first value of a name, or another.
    pub fn text(&self, name: &str, otherwise: &str) -> String {
        self.get(name).unwrap_or_else(|| otherwise.to_owned())
    }

    /// The first value of a name as a number, or another.
    pub fn number(&self, name: &str, otherwise: u64) -> u64 {
        let value = self.raw(name).and_then(|value| value.parse().ok());
        value.unwrap_or(otherwise)
    }

    /// Is the name there, with a value or without?
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }
}

/// Percent-decoded bytes; what is no escape stays.
pub fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let value = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// Percent-decoded, as UTF-8: `%E2%82%AC` is one character, the euro sign.
pub fn decode_text(text: &str) -> String {
    String::from_utf8_lossy(&decode(text)).into_owned()
}

/// A JSON string of ASCII only.
pub fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'"') => json.push_str("\\\""),
            Ok(b'\\') => json.push_str("\\\\"),
            Ok(byte @ b' '..=b'~') => json.push(char::from(byte)),
            _ => json.push_str(&format!("\\u{unit:04x}")),
        }
    }
    json.push('"');
    json
}

/// A JSON array of values that are JSON already.
pub fn json_array<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> String {
    let mut json = String::from("[");
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(value.as_ref());
    }
    json.push(']');
    json
}

/// `200 OK` with a text to follow.
pub fn start_text(start_response: &StartResponse) -> Result<()> {
    start_response.start("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
    Ok(())
}

/// Runs for ever and uses the processor.
pub fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count).wrapping_add(1);
    }
}

/// Uses the processor for a time of the monotonic clock.
pub fn spin_for(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::black_box((0..10_000_u64).fold(1, u64::wrapping_add));
    }
}

/// Waits for ever and uses no processor.
pub fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Ends the instance by a trap, without a message.
pub fn trap() -> ! {
    std::process::abort()
}
