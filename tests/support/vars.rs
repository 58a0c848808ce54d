//! What the guest `environ_dump` tells of its `environ`.

use std::collections::BTreeMap;

use crate::client::Response;

/// The variables by name, and the run flags as `run.once` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vars(pub BTreeMap<String, String>);

impl Vars {
    /// Of an answer of the guest; any other answer is a failure of the test.
    #[track_caller]
    pub fn of(response: &Response) -> Self {
        response.expect(200);
        let text = response.text();
        let vars = text.lines().map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            let value = match value.strip_prefix('"') {
                Some(_) => serde_json::from_str(value).unwrap(),
                None => value.to_owned(),
            };
            (name.to_owned(), value)
        });
        Self(vars.collect())
    }

    /// None if the variable is absent, which is not the same as empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What it says of the client and of what that asked for: all that a proxy has a say in.
    pub fn of_the_client(&self) -> Vec<(&'static str, String)> {
        [
            "REMOTE_ADDR",
            "REMOTE_PORT",
            "wsgi.url_scheme",
            "HTTPS",
            "SERVER_NAME",
            "SERVER_PORT",
            "HTTP_HOST",
        ]
        .into_iter()
        .filter_map(|name| Some((name, self.get(name)?.to_owned())))
        .collect()
    }

    /// The variables that came from header fields, without HTTP_HOST.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let fields = self
            .0
            .iter()
            .filter(|(name, _)| name.starts_with("HTTP_") && *name != "HTTP_HOST");
        fields
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}
