//! The requests that `check` sends: its own, and those of a user's file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use serde::Deserialize;
use wasm_gw_runtime::testing::Called;

/// What any application may be asked, in the form of a user's file.
const OWN: &str = include_str!("requests.toml");

/// All that will be sent, in order.
pub(crate) struct Requests(Vec<Asked>);

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    request: Vec<Entry>,
}

/// One request of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: Option<String>,
    #[serde(default = "get")]
    method: String,
    target: String,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMany>,
    body: Option<String>,
    /// A file, beside that of the requests.
    body_file: Option<PathBuf>,
    /// In bytes, all zero.
    body_size: Option<usize>,
    #[serde(default)]
    expect: Expect,
}

fn get() -> String {
    "GET".to_owned()
}

/// What an answer must be.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Expect {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_contains: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn values(&self) -> &[String] {
        match self {
            OneOrMany::One(value) => std::slice::from_ref(value),
            OneOrMany::Many(values) => values,
        }
    }
}

/// One request, as it will be sent.
pub(crate) struct Asked {
    /// What to call it.
    pub(crate) name: String,
    method: Method,
    target: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    expect: Expect,
}

impl Requests {
    /// Ours, unless `only` theirs are wanted, and then those of the files.
    pub(crate) fn of(files: &[PathBuf], only: bool) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        if !only {
            all = read(OWN, Path::new(""))?;
        }
        for file in files {
            let shown = file.display();
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
            let beside = file.parent().unwrap_or(Path::new(""));
            all.extend(read(&text, beside).with_context(|| format!("in {shown}"))?);
        }
        Ok(Self(all))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Asked> {
        self.0.iter()
    }
}

fn read(text: &str, beside: &Path) -> anyhow::Result<Vec<Asked>> {
    let file: File = toml::from_str(text)?;
    let asked = file.request.into_iter().enumerate().map(|(index, entry)| {
        let number = index + 1;
        Asked::of(entry, beside).with_context(|| format!("request {number}"))
    });
    asked.collect()
}

impl Asked {
    fn of(entry: Entry, beside: &Path) -> anyhow::Result<Self> {
        let method: Method =
            (entry.method.parse()).with_context(|| format!("`{}` is no method", entry.method))?;
        ensure!(
            entry.target.starts_with('/') || entry.target == "*",
            "the target `{}` must begin with /",
            entry.target
        );
        let target: Uri =
            (entry.target.parse()).with_context(|| format!("`{}` is no target", entry.target))?;
        let mut headers = Vec::new();
        for (name, values) in &entry.headers {
            let field: HeaderName =
                (name.parse()).with_context(|| format!("`{name}` is no name of a header field"))?;
            for value in values.values() {
                let value = HeaderValue::from_str(value)
                    .with_context(|| format!("the value of `{name}` cannot be sent"))?;
                headers.push((field.clone(), value));
            }
        }
        let body = match (entry.body, entry.body_file, entry.body_size) {
            (None, None, None) => Bytes::new(),
            (Some(text), None, None) => text.into(),
            (None, Some(file), None) => {
                let file = beside.join(file);
                let read = std::fs::read(&file);
                read.with_context(|| format!("cannot read {}", file.display()))?
                    .into()
            }
            (None, None, Some(size)) => {
                ensure!(size <= MOST_BODY, "a body has {MOST_BODY} bytes at most");
                vec![0; size].into()
            }
            _ => anyhow::bail!("give one of body, body-file and body-size"),
        };
        let name = entry.name.unwrap_or_else(|| format!("{method} {target}"));
        Ok(Self {
            name,
            method,
            target,
            headers,
            body,
            expect: entry.expect,
        })
    }

    /// To be sent.
    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        // Without one, some applications take a request for one without a body, and rightly so.
        if !self.body.is_empty() && !headers.contains_key(http::header::CONTENT_LENGTH) {
            headers.insert(http::header::CONTENT_LENGTH, self.body.len().into());
        }
        request
    }

    /// What of an answer is not as it was expected.
    pub(crate) fn unexpected(&self, called: &Called) -> Vec<String> {
        let mut all = Vec::new();
        let (response, expect) = (&called.response, &self.expect);
        if let Some(status) = expect.status
            && response.status().as_u16() != status
        {
            all.push(format!(
                "status {}, not {status}",
                response.status().as_u16()
            ));
        }
        for (name, wanted) in &expect.headers {
            let found: Vec<_> = response.headers().get_all(name).iter().collect();
            if !found
                .iter()
                .any(|value| value.as_bytes() == wanted.as_bytes())
            {
                all.push(format!("{name}: {found:?}, not {wanted:?}"));
            }
        }
        let body = String::from_utf8_lossy(response.body());
        if let Some(wanted) = &expect.body
            && body != *wanted
        {
            all.push(format!("the body is {:?}, not {wanted:?}", excerpt(&body)));
        }
        if let Some(wanted) = &expect.body_contains
            && !body.contains(wanted)
        {
            all.push(format!(
                "{wanted:?} is not in the body: {:?}",
                excerpt(&body)
            ));
        }
        all
    }
}

/// The largest body that is made up, in bytes.
const MOST_BODY: usize = 64 << 20;

/// Enough of a body to recognise it by.
fn excerpt(body: &str) -> String {
    const LENGTH: usize = 200;
    let mut text: String = body.chars().take(LENGTH).collect();
    if text.len() < body.len() {
        text.push_str(" [...]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_requests_can_be_sent() {
        let requests = Requests::of(&[], false).unwrap();
        assert!(requests.iter().count() > 10);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named() {
        let check = |text: &str, expected: &str| {
            let error = read(text, Path::new("")).err().unwrap();
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{text}: {error}");
        };
        check(
            "[[request]]\ntarget = 'a'",
            "request 1: the target `a` must begin with /",
        );
        check(
            "[[request]]\ntarget = '/'\nmethod = 'A B'",
            "`A B` is no method",
        );
        check(
            "[[request]]\ntarget = '/'\nheaders = { 'a b' = '1' }",
            "`a b` is no name",
        );
        check(
            "[[request]]\ntarget = '/'\nheaders = { a = \"1\\n\" }",
            "the value of `a`",
        );
        check(
            "[[request]]\ntarget = '/'\nbody = ''\nbody-size = 1",
            "give one of",
        );
        check(
            "[[request]]\ntarget = '/'\nbody-file = 'none'",
            "cannot read none",
        );
        check("[[request]]\ntarget = '/'\nexpct = 1", "expct");
        check("[[request]]", "target");
    }
}
