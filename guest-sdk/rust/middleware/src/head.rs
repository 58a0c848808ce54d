//! What a wrapped application said to its `start-response`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use wasm_gw_guest::{Error, Result, StartError, StartResponse, Writer};

use crate::bindings::wasm_gw::gateway::recording::Started;

/// Status and headers of an application, which are not out yet.
#[derive(Clone, Debug)]
pub struct Head {
    /// Such as `200 OK`.
    pub status: String,
    /// Name and value, in order, native strings.
    pub headers: Vec<(String, String)>,
    /// The error because of which it was called again. Middleware may take it away or replace it (`M7`).
    pub exc_info: Option<Error>,
    pub(crate) length: Option<u64>,
    pub(crate) by_host: bool,
}

impl Head {
    pub(crate) fn of(started: Started) -> Self {
        Self {
            status: started.status,
            headers: started.headers,
            exc_info: started.exc_info.map(Error::from),
            length: None,
            by_host: false,
        }
    }

    /// The status as a number.
    pub fn code(&self) -> u16 {
        let digits = self.status.get(..3).and_then(|digits| digits.parse().ok());
        digits.unwrap_or_default()
    }

    /// The value of the first header of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// The values of all headers of this name, in any case.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = move |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        let found = self.headers.iter().filter(of_name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header in place of all of its name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.append(name, value);
    }

    /// One more header.
    pub fn append(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Removes all headers of this name, in any case.
    pub fn remove(&mut self, name: &str) {
        self.headers
            .retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    }

    /// How long the body is, in bytes, if that is known: it is one block, or there is a Content-Length.
    pub fn body_length(&self) -> Option<u64> {
        let announced = || self.get("content-length")?.trim().parse().ok();
        self.length.or_else(announced)
    }

    /// Whether the host produces the body: as long as no [`Filter`](crate::Filter) is chosen, it does not pass
    /// through the middleware.
    pub fn is_host_body(&self) -> bool {
        self.by_host
    }

    /// Begins the response with it.
    ///
    /// # Errors
    ///
    /// As [`StartResponse::start`] and [`StartResponse::restart`].
    pub fn start(&self, start_response: &StartResponse) -> Result<Writer> {
        let exc_info = self.exc_info.as_ref();
        match (
            start_response.start_with_headers(&self.status, &self.headers, exc_info),
            exc_info,
        ) {
            (Ok(writer), _) => Ok(writer),
            (Err(StartError::HeadersSent), Some(failure)) => Err(failure.clone()),
            (Err(error), _) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        Head::of(Started {
            status: "404 Not Found".to_owned(),
            headers: headers
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            exc_info: None,
        })
    }

    #[test]
    fn names_are_compared_without_case() {
        let mut head = head(&[("Vary", "a"), ("x", "y"), ("VARY", "b")]);
        assert_eq!(head.get("vary"), Some("a"));
        assert_eq!(head.get_all("vary").collect::<Vec<_>>(), ["a", "b"]);
        head.set("vary", "c");
        assert_eq!(head.get_all("Vary").collect::<Vec<_>>(), ["c"]);
        head.remove("X");
        assert_eq!(head.get("x"), None);
        assert_eq!(head.code(), 404);
    }

    #[test]
    fn a_length_is_known_of_one_block_or_announced() {
        let mut head = head(&[("content-length", "12")]);
        assert_eq!(head.body_length(), Some(12));
        head.length = Some(3);
        assert_eq!(head.body_length(), Some(3));
        head.length = None;
        head.remove("Content-Length");
        assert_eq!(head.body_length(), None);
    }
}
