//! What stands in a `case.toml`: the rules it is about, and exchanges with one expectation that holds
//! for every language. A key that is not known here is an error.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A whole `case.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    /// The ids in `docs/protocol.md` of what the case proves.
    pub(crate) rules: Vec<String>,
    /// Where the application is mounted; the root if it is not said.
    pub(crate) mount: Option<String>,
    /// The `Server` header that the host is told to send; none if it is not said.
    pub(crate) server_header: Option<String>,
    /// Requests, each on a connection of its own, in this order.
    pub(crate) exchange: Vec<Exchange>,
}

/// A request and what must come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Exchange {
    #[serde(default = "get")]
    pub(crate) method: String,
    #[serde(default = "root")]
    pub(crate) target: String,
    /// In order, in latin-1. `Host: test` goes before them if there is none.
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    /// A body with a Content-Length.
    pub(crate) body: Option<Bytes>,
    /// A body in these chunks.
    pub(crate) chunks: Option<Vec<Bytes>>,
    /// The whole request as it is, in latin-1, instead of all of the above.
    pub(crate) raw: Option<String>,
    pub(crate) expect: Expect,
}

/// What must come back. What is not named is not looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Expect {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    /// All fields of each name: one value, or several in order.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, OneOrMany>,
    /// Names that must be there once, with whatever value.
    #[serde(default)]
    pub(crate) present: Vec<String>,
    /// Names that must not be there.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// The body, exactly.
    pub(crate) body: Option<Bytes>,
    /// The chunks of a chunked body, in order: what is sent as a block arrives as one.
    pub(crate) chunks: Option<Vec<Bytes>>,
    /// Texts that the body must not contain.
    #[serde(default)]
    pub(crate) body_without: Vec<String>,
    #[serde(default)]
    pub(crate) transfer: Transfer,
    /// The lines that the application wrote to each stream once it has ended, exactly: `errors`,
    /// `stdout`, `stderr`.
    #[serde(default)]
    pub(crate) log: Log,
    /// A text in the server's own log of this request.
    pub(crate) server_log: Option<String>,
}

/// Whether the response came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transfer {
    /// As its framing promised.
    #[default]
    Whole,
    /// Cut off, so that the client can tell.
    Aborted,
}

/// The application's streams.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) errors: Option<Vec<String>>,
    pub(crate) stdout: Option<Vec<String>>,
    pub(crate) stderr: Option<Vec<String>>,
}

/// One value, or several in order.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn values(&self) -> Vec<&str> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many.iter().map(String::as_str).collect(),
        }
    }
}

/// Bytes: a text in UTF-8, a text in latin-1 for bytes that are none, or one text many times.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bytes {
    Text(String),
    Latin1(Latin1),
    Repeat(Repeat),
}

/// `{ latin1 = "\u00ff" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Latin1 {
    latin1: String,
}

/// `{ repeat = "x", times = 1000 }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    repeat: String,
    times: usize,
}

impl Bytes {
    /// # Errors
    ///
    /// A character that is none of latin-1.
    pub(crate) fn to_vec(&self) -> Result<Vec<u8>, String> {
        match self {
            Bytes::Text(text) => Ok(text.clone().into_bytes()),
            Bytes::Latin1(Latin1 { latin1 }) => to_latin1(latin1),
            Bytes::Repeat(Repeat { repeat, times }) => Ok(repeat.repeat(*times).into_bytes()),
        }
    }
}

impl Case {
    /// # Errors
    ///
    /// It is no TOML, has a key that is not known, or no rule and no exchange.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let case: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if case.rules.is_empty() {
            return Err("`rules` names no rule".to_owned());
        }
        for exchange in &case.exchange {
            let sources = [
                exchange.body.is_some(),
                exchange.chunks.is_some(),
                exchange.raw.is_some(),
            ];
            if sources.iter().filter(|&&given| given).count() > 1 {
                return Err("only one of `body`, `chunks` and `raw` can be sent".to_owned());
            }
            if exchange.expect.body.is_some() && exchange.expect.chunks.is_some() {
                return Err("`chunks` are the body: expect only one of them".to_owned());
            }
        }
        Ok(case)
    }
}

impl Exchange {
    /// The bytes of the request.
    ///
    /// # Errors
    ///
    /// A character that is none of latin-1.
    pub(crate) fn request(&self) -> Result<Vec<u8>, String> {
        if let Some(raw) = &self.raw {
            return to_latin1(raw);
        }
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str("Host: test\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut body = Vec::new();
        if let Some(whole) = &self.body {
            body = whole.to_vec()?;
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        if let Some(chunks) = &self.chunks {
            head.push_str("Transfer-Encoding: chunked\r\n");
            for chunk in chunks {
                let chunk = chunk.to_vec()?;
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(&chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
        }
        head.push_str("\r\n");
        let mut request = to_latin1(&head)?;
        request.extend_from_slice(&body);
        Ok(request)
    }
}

fn to_latin1(text: &str) -> Result<Vec<u8>, String> {
    let byte = |character| {
        u8::try_from(character).map_err(|_| format!("`{character}` is no character of latin-1"))
    };
    text.chars().map(byte).collect()
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}
