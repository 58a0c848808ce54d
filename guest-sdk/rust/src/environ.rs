//! `environ`: the variables of one request.

use alloc::borrow::ToOwned;
use alloc::string::{FromUtf8Error, String};
use alloc::vec::Vec;

use crate::held::Held;
use crate::latin1;
use crate::raw::types;
use crate::{Errors, Input, RunFlags};

/// The CGI and `wsgi.*` variables of one request (`docs/protocol.md`, 2).
///
/// Names and values are native strings (see [`latin1`]). Each look-up is a call
/// of the host. It is the application's own copy: changing it changes nothing
/// but what a callee of the application sees (`S5`).
#[derive(Debug)]
pub struct Environ(Held<types::Environ>);

impl Environ {
    /// A new one, for middleware and tests.
    pub fn new(vars: &[(String, String)], run: RunFlags) -> Self {
        Self::from_raw(types::Environ::new(vars, run))
    }

    /// Wraps a handle of [`raw`](crate::raw).
    pub fn from_raw(environ: types::Environ) -> Self {
        Self(Held::new(environ))
    }

    /// Wraps what came with the request.
    pub(crate) fn of_request(environ: types::Environ) -> Self {
        Self(Held::of_request(environ))
    }

    /// The handle itself.
    pub fn as_raw(&self) -> &types::Environ {
        &self.0
    }

    /// The handle itself, for middleware that passes it on.
    pub fn into_raw(self) -> types::Environ {
        let environ = self.0.into_raw();
        #[cfg(all(not(feature = "std"), target_family = "wasm"))]
        crate::bare::gives_away(&environ);
        environ
    }

    /// A variable, if it is there. A variable with nothing to say is absent (`S9`).
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name)
    }

    /// A variable's bytes, as the client sent them.
    pub fn get_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let value = self.0.get(name)?;
        // The host gives only native strings (S13); a value that middleware set
        // to something else is best passed as the UTF-8 it is.
        Some(latin1::bytes_of(&value).unwrap_or_else(|_| value.into_bytes()))
    }

    /// A variable read as UTF-8, which is what a path of today usually is.
    pub fn get_utf8(&self, name: &str) -> Option<Result<String, FromUtf8Error>> {
        self.get_bytes(name).map(String::from_utf8)
    }

    /// All variables in one call of the host.
    pub fn vars(&self) -> Vec<(String, String)> {
        self.0.vars()
    }

    /// Sets a variable.
    ///
    /// # Errors
    ///
    /// The host's reason: a name or value it does not take, or too many of them.
    pub fn set(&self, name: &str, value: &str) -> crate::Result<()> {
        self.0
            .set(name, value)
            .map_err(|reason| crate::Error::new("wasm_gw_guest::Environ", reason))
    }

    /// Removes a variable, if it is there.
    pub fn remove(&self, name: &str) {
        self.0.remove(name);
    }

    /// A copy with variables of its own; the input and the log are the same.
    pub fn copy(&self) -> Self {
        Self::from_raw(self.0.copy())
    }

    /// `REQUEST_METHOD`: `GET`, `POST`, ...; case-sensitive, never empty.
    pub fn method(&self) -> String {
        self.0.get("REQUEST_METHOD").unwrap_or_default()
    }

    /// `PATH_INFO`: the decoded path below the mount; `""` or begins with `/`.
    pub fn path(&self) -> String {
        self.0.get("PATH_INFO").unwrap_or_default()
    }

    /// `SCRIPT_NAME`: where the application is mounted; `""` at the root.
    pub fn script_name(&self) -> String {
        self.0.get("SCRIPT_NAME").unwrap_or_default()
    }

    /// `QUERY_STRING`: what follows the `?`, not decoded.
    pub fn query(&self) -> String {
        self.0.get("QUERY_STRING").unwrap_or_default()
    }

    /// `CONTENT_TYPE` of the request's body.
    pub fn content_type(&self) -> Option<String> {
        self.0.get("CONTENT_TYPE")
    }

    /// `CONTENT_LENGTH` of the request's body, in bytes. A body without one may
    /// still be there (chunked): reading [`input`](Self::input) tells.
    pub fn content_length(&self) -> Option<u64> {
        self.0.get("CONTENT_LENGTH")?.parse().ok()
    }

    /// A header of the request by its HTTP name, in any case: `"accept"` is
    /// `HTTP_ACCEPT`. Repeated ones come joined (2.3).
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.get(&variable_of(name))
    }

    /// May this instance be entered again while it runs?
    pub fn multithread(&self) -> bool {
        self.run_flags().contains(RunFlags::MULTITHREAD)
    }

    /// May another instance run at the same time?
    pub fn multiprocess(&self) -> bool {
        self.run_flags().contains(RunFlags::MULTIPROCESS)
    }

    /// Does the host expect to call this instance only once? A hint (`A22`).
    pub fn run_once(&self) -> bool {
        self.run_flags().contains(RunFlags::RUN_ONCE)
    }

    /// The flags together.
    pub fn run_flags(&self) -> RunFlags {
        self.0.run_flags()
    }

    /// The body of the request. Each call gives a new handle to the same stream.
    pub fn input(&self) -> Input {
        Input::from_raw(self.0.input())
    }

    /// Replaces the body that a callee will see.
    pub fn replace_input(&self, input: Input) {
        self.0.replace_input(input.into_raw());
    }

    /// The application's log.
    pub fn errors(&self) -> Errors {
        Errors::from_raw(self.0.errors())
    }
}

/// The variable that carries a header. Two headers have a name of their own.
fn variable_of(header: &str) -> String {
    if header.eq_ignore_ascii_case("content-type") {
        return "CONTENT_TYPE".to_owned();
    }
    if header.eq_ignore_ascii_case("content-length") {
        return "CONTENT_LENGTH".to_owned();
    }
    let mut name = String::with_capacity("HTTP_".len() + header.len());
    name.push_str("HTTP_");
    for character in header.chars() {
        name.push(match character {
            '-' => '_',
            other => other.to_ascii_uppercase(),
        });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::variable_of;

    #[test]
    fn names_of_headers() {
        assert_eq!(variable_of("accept"), "HTTP_ACCEPT");
        assert_eq!(variable_of("X-Forwarded-For"), "HTTP_X_FORWARDED_FOR");
        assert_eq!(variable_of("Content-Type"), "CONTENT_TYPE");
        assert_eq!(variable_of("content-length"), "CONTENT_LENGTH");
    }
}
