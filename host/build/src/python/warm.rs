//! Warm-up: requests that the application answers at the build, so that what they load, compile and specialise is in
//! the component.
//!
//! Here is what is asked, and what came of it. The shim asks (`warm.py`). Whether what the application changed by
//! answering shows in later answers is for whoever can run the component to find out: what it needs for that is in
//! [`Warmed`].

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use http::{Request, header};
use serde_json::Value;
use wasm_gw_protocol::{ConnInfo, Environ, Facts, Mount, Refusal, RequestId, Target};

use crate::error::BuildError;

/// So many paths can be warmed.
pub const MOST_WARM: usize = 32;

/// The longest of them, in bytes.
pub const LONGEST_WARM: usize = 2_048;

/// The target of a GET request that the application is to answer at the build: `/login?next=/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmPath(String);

/// A text that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("warm `{text}`: {why}")]
pub struct WarmPathError {
    text: String,
    why: String,
}

impl FromStr for WarmPath {
    type Err = WarmPathError;

    fn from_str(text: &str) -> Result<Self, WarmPathError> {
        let wrong = |why: &str| WarmPathError {
            text: text.chars().take(80).collect(),
            why: why.to_owned(),
        };
        if !text.starts_with('/') {
            return Err(wrong("a path begins with /"));
        }
        if text.len() > LONGEST_WARM {
            return Err(wrong("it is longer than 2048 bytes"));
        }
        if text.contains('#') {
            return Err(wrong("what follows # never reaches a server"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic())
            || text.parse::<PathAndQuery>().is_err()
        {
            return Err(wrong(
                "blanks and what is not ASCII are written as %20 and the like, as in a link",
            ));
        }
        let path = Self(text.to_owned());
        path.environ("")
            .map_err(|refusal| wrong(&format!("a server refuses it: {refusal}")))?;
        Ok(path)
    }
}

impl fmt::Display for WarmPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl WarmPath {
    /// What the application is asked at the build. In its extensions are the connection and the id that it has there.
    pub fn request(&self) -> Request<()> {
        let conn = ConnInfo::tcp(
            ([127, 0, 0, 1], 8080).into(),
            ([127, 0, 0, 1], 50_000).into(),
        );
        Request::get(self.0.as_str())
            .header(header::HOST, "localhost:8080")
            .header(
                header::USER_AGENT,
                concat!("wasm-gw-build/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::ACCEPT, "*/*")
            .extension(conn)
            .extension(RequestId::from_bits(0))
            .body(())
            .expect("it was checked when it was parsed")
    }

    /// The same request as the application sees it.
    fn environ(&self, app: &str) -> Result<Environ, Refusal> {
        let (parts, ()) = self.request().into_parts();
        let conn: &ConnInfo = parts.extensions.get().expect("it was put there");
        let request_id: &RequestId = parts.extensions.get().expect("it was put there");
        let target = Target::parse(&parts, conn.scheme)?;
        let split = Mount::root()
            .matches(target.path)
            .expect("each path is under the root");
        let facts = Facts {
            conn,
            request_id,
            server_name: None,
            server_software: concat!("wasm-gw/", env!("CARGO_PKG_VERSION")),
            app,
            extra: &[],
        };
        Environ::build(&parts, &target, split, &facts)
    }
}

/// What was answered to one path at the build, when nothing had asked for it before.
#[derive(Clone, Debug)]
pub struct Warmed {
    /// The path.
    pub path: WarmPath,
    /// When it was asked.
    pub at: SystemTime,
    /// The status, as the application said it.
    pub status: String,
    /// The header fields, as the application said them.
    pub headers: Vec<(String, String)>,
    /// The body, of which no more than the shim keeps.
    pub body: Vec<u8>,
}

/// So much of a body is kept by the shim, in bytes.
pub const MOST_WARMED_BODY: usize = 1 << 20;

/// What is asked, as Python writes a list of lists, which is as JSON does.
pub(crate) fn asked(paths: &[WarmPath], app: &str) -> String {
    let requests: Vec<Value> = paths
        .iter()
        .map(|path| {
            let environ = path
                .environ(app)
                .expect("it was checked when it was parsed");
            let variables: Vec<(&str, &str)> = environ.iter().collect();
            serde_json::json!([path.0, variables])
        })
        .collect();
    Value::from(requests).to_string()
}

/// Reads what the shim wrote of it.
pub(crate) fn answered(file: &Path) -> Result<Vec<Warmed>, BuildError> {
    let text = std::fs::read(file).map_err(|error| BuildError::read(file, error))?;
    let answers = serde_json::from_slice::<Vec<Value>>(&text).ok();
    answers
        .and_then(|answers| answers.iter().map(warmed).collect())
        .ok_or_else(|| {
            let error = std::io::Error::other("it is not what the shim writes");
            BuildError::read(file, error)
        })
}

fn warmed(answer: &Value) -> Option<Warmed> {
    let headers = answer["headers"].as_array()?.iter();
    let pair = |pair: &Value| Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()));
    let bytes = answer["body"].as_str()?.chars();
    Some(Warmed {
        path: WarmPath(answer["path"].as_str()?.to_owned()),
        at: SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(answer["at"].as_f64()?).ok()?,
        status: answer["status"].as_str()?.to_owned(),
        headers: headers.map(pair).collect::<Option<_>>()?,
        body: bytes
            .map(|byte| u8::try_from(byte).ok())
            .collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_a_server_takes() {
        for path in ["/", "/login?next=%2F&x=1", "/a//b/%E4"] {
            assert_eq!(path.parse::<WarmPath>().unwrap().to_string(), path);
        }
        let check = |text: &str, expected: &str| {
            let error = text.parse::<WarmPath>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "begins with /");
        check("login", "warm `login`: a path begins with /");
        check("http://a/", "begins with /");
        check("/a b", "%20");
        check("/\u{e4}", "%20");
        check("/#top", "never reaches a server");
        check("/%00", "a server refuses it");
        check(&format!("/{}", "x".repeat(LONGEST_WARM)), "longer");
    }

    #[test]
    fn the_shim_is_told_what_an_instance_would_see() {
        let paths = ["/a%20b?c=d".parse().unwrap()];
        let text = asked(&paths, "shop");
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told[0][0], "/a%20b?c=d");
        let has = |name: &str, value: &str| {
            let variables = told[0][1].as_array().unwrap();
            variables.iter().any(|it| it[0] == name && it[1] == value)
        };
        assert!(
            has("PATH_INFO", "/a b") && has("QUERY_STRING", "c=d"),
            "{text}"
        );
        assert!(
            has("HTTP_HOST", "localhost:8080") && has("SERVER_PORT", "8080"),
            "{text}"
        );
        assert!(
            has("wasm_gw.app", "shop") && has("REMOTE_ADDR", "127.0.0.1"),
            "{text}"
        );
    }

    #[test]
    fn an_answer_comes_back_byte_by_byte() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"[{"path": "/", "at": 1.5, "status": "200 OK", "headers": [["A", "\u00e4"]], "body": "\u00ff\n"}]"#;
        std::fs::write(file.path(), text).unwrap();
        let answers = answered(file.path()).unwrap();
        assert_eq!(answers[0].body, b"\xff\n");
        assert_eq!(answers[0].headers, [("A".to_owned(), "\u{e4}".to_owned())]);
        assert_eq!(
            answers[0].at,
            SystemTime::UNIX_EPOCH + Duration::from_millis(1500)
        );
        std::fs::write(file.path(), "[{}]").unwrap();
        assert!(answered(file.path()).is_err());
    }
}
