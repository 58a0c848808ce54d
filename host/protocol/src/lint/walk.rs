//! Goes through a transcript once, from the first call to the last.

use super::fields;
use super::rules::{
    BAD_LENGTH, BAD_NAME, BAD_STATUS, BAD_VALUE, BODY_WITHOUT_ROOM, CLOSE_FAILED, ENDED, EXCEPTION,
    HEAD_TOO_LARGE, HOP_BY_HOP, NOT_LATIN1, NOT_STARTED, Rule, STARTED_TWICE, TOO_LONG, TOO_SHORT,
    WENT_ON, WRITE_IN_BODY,
};
use super::{Event, Finding, Returned, Transcript};
use crate::escape::escape;
use crate::request::parse_length;
use crate::response::{Broken, StartError, WriteError};

/// Finds what is against a rule in what an application did, each rule once.
///
/// A client that goes away, and a host that gives up for reasons of its own, are no fault of the
/// application's.
pub fn lint(transcript: &Transcript) -> Vec<Finding> {
    let mut walk = Walk {
        is_head: transcript.is_head,
        ..Walk::default()
    };
    for event in &transcript.events {
        walk.see(event);
    }
    walk.end();
    walk.findings
}

/// What has been seen so far.
#[derive(Default)]
struct Walk<'a> {
    is_head: bool,
    /// The head as it stands: the last one that was taken.
    head: Option<(&'a str, &'a [(String, String)])>,
    /// Bytes of the body.
    body: u64,
    /// The host has the body, and knows how long it is.
    is_host_s: bool,
    /// `start` came too late, and said so.
    is_given_up: bool,
    findings: Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn found(&mut self, rule: &'static Rule, seen: &str) {
        let is_new = self.findings.iter().all(|finding| finding.rule != rule);
        if is_new {
            let seen = escape(seen).into_owned();
            self.findings.push(Finding { rule, seen });
        }
    }

    fn see(&mut self, event: &'a Event) {
        match event {
            Event::Start {
                status,
                headers,
                refused: None,
                ..
            } => self.head = Some((status, headers)),
            Event::Start {
                status,
                refused: Some(error),
                ..
            } => self.see_refused(status, error),
            Event::Write { bytes, refused } => self.see_write(*bytes, refused.as_ref()),
            Event::Returned(Returned::Bytes(bytes)) | Event::Block(bytes) => self.add(*bytes),
            Event::Returned(Returned::Host) => self.is_host_s = true,
            Event::Returned(Returned::Empty | Returned::Iter) | Event::Exhausted => {}
            Event::Broken(broken) => self.see_broken(*broken),
            Event::Exception(text) => {
                // What `start-response` gave back is raised again, as it should be.
                if !std::mem::take(&mut self.is_given_up) {
                    self.found(EXCEPTION, text);
                }
            }
            Event::Ended(text) => {
                self.is_given_up = false;
                self.found(ENDED, text);
            }
            Event::CloseFailed(text) => self.found(CLOSE_FAILED, text),
        }
    }

    fn see_refused(&mut self, status: &str, error: &StartError) {
        let rule = match error {
            StartError::AlreadyStarted => STARTED_TWICE,
            StartError::HeadersSent => {
                self.is_given_up = true;
                return;
            }
            StartError::BadStatus(_) => {
                self.head = None;
                return self.found(BAD_STATUS, &format!("{status:?}"));
            }
            StartError::BadHeaderName(_) => BAD_NAME,
            StartError::BadHeaderValue(_) => BAD_VALUE,
            StartError::NotLatin1(_) => NOT_LATIN1,
            StartError::HopByHop(_) => HOP_BY_HOP,
            StartError::BadContentLength(_) => BAD_LENGTH,
            StartError::TooLarge => HEAD_TOO_LARGE,
            StartError::Disconnected => return,
        };
        if *error != StartError::AlreadyStarted {
            self.head = None;
        }
        self.found(rule, &error.to_string());
    }

    fn see_write(&mut self, bytes: u64, refused: Option<&WriteError>) {
        match refused {
            None => self.add(bytes),
            Some(WriteError::ContentLengthExceeded) => {
                let seen = format!("a block of {bytes} bytes, after {} of them", self.body);
                self.found(TOO_LONG, &seen);
            }
            Some(WriteError::BodyStarted) => {
                self.found(WRITE_IN_BODY, &format!("a block of {bytes} bytes"));
            }
            Some(WriteError::Aborted | WriteError::Disconnected) => {}
        }
    }

    fn see_broken(&mut self, broken: Broken) {
        match broken {
            Broken::NotStarted => self.found(NOT_STARTED, &broken.to_string()),
            Broken::TooShort { .. } => self.found(TOO_SHORT, &broken.to_string()),
            Broken::Aborted => {}
        }
    }

    /// A part of the body.
    fn add(&mut self, bytes: u64) {
        self.body += bytes;
        let Some((status, headers)) = self.head else {
            return;
        };
        if bytes > 0 && fields::code(status).is_some_and(fields::is_bodiless) {
            self.found(
                BODY_WITHOUT_ROOM,
                &format!("{} bytes with {status:?}", self.body),
            );
        } else if let Some(length) = announced(headers)
            && self.body > length
            && !self.is_head
        {
            let seen = format!("{} bytes, and Content-Length: {length}", self.body);
            self.found(TOO_LONG, &seen);
        }
    }

    fn end(&mut self) {
        if self.is_given_up {
            self.found(WENT_ON, "it returned as if nothing were wrong");
        }
        if let Some((status, headers)) = self.head {
            let mut all = Vec::new();
            let has_body = self.body > 0 || self.is_host_s;
            fields::look(status, headers, has_body, |rule, seen| {
                all.push((rule, seen))
            });
            for (rule, seen) in all {
                self.found(rule, &seen);
            }
        }
    }
}

/// The length that a head announces.
fn announced(headers: &[(String, String)]) -> Option<u64> {
    let mut all = headers.iter();
    let (_, value) = all.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    parse_length(value.trim().as_bytes())
}
