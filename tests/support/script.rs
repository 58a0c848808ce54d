//! Scripts for the guest `start_response`: what an application does, as a query string.

use crate::client::Response;
use crate::server::TestServer;

/// The target of a script such as `app=start:200 OK;bytes:x`: blanks in it are escaped, all else a
/// query may hold as it is or the script has escaped by [`encoded`].
pub fn script(script: &str) -> String {
    format!("/?{}", script.replace(' ', "%20"))
}

/// Percent-encoded, so that it can be an argument of a script's step.
pub fn encoded(text: &str) -> String {
    encoded_bytes(text.as_bytes())
}

/// The same for bytes.
pub fn encoded_bytes(bytes: &[u8]) -> String {
    let mut encoded = String::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The step that starts with this status and these headers.
pub fn start(step: &str, status: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{step}:{}", encoded(status));
    for (name, value) in headers {
        text.push_str(&format!(",{}={}", encoded(name), encoded(value)));
    }
    text
}

impl TestServer {
    /// Runs a script.
    pub async fn run(&self, text: &str) -> Response {
        self.get(&script(text)).await
    }

    /// What the steps of `app` came to, a line each: they are followed by a start with exc-info and
    /// the report, which must go out.
    pub async fn outcomes(&self, steps: &str) -> Vec<String> {
        let response = self.run(&format!("app={steps};fail:200 OK;report")).await;
        response.expect(200);
        let mut lines: Vec<String> = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(lines.pop().as_deref(), Some("app fail ok"), "{lines:?}");
        lines
    }
}
