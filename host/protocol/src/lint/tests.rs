//! Each rule is found by what breaks it, and by nothing else. The calls are checked by a real [`Exchange`].

use bytes::Bytes;
use http::Version;

use super::*;
use crate::response::{Exchange, RequestKind, ResponseLimits};

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// An application, as a host sees it.
struct Script {
    exchange: Exchange,
    transcript: Transcript,
}

impl Script {
    fn new(is_head: bool) -> Self {
        let kind = RequestKind {
            head: is_head,
            version: Version::HTTP_11,
        };
        Self {
            exchange: Exchange::new(kind, ResponseLimits::default(), None),
            transcript: Transcript {
                is_head,
                events: Vec::new(),
            },
        }
    }

    fn event(mut self, event: Event) -> Self {
        self.transcript.events.push(event);
        self
    }

    fn call(mut self, status: &str, headers: &[(&str, &str)], exc_info: bool) -> Self {
        let refused = self
            .exchange
            .start(status, headers.iter().copied(), exc_info);
        self.event(Event::Start {
            status: status.to_owned(),
            headers: headers
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            exc_info,
            refused: refused.err(),
        })
    }

    fn start(self, status: &str, headers: &[(&str, &str)]) -> Self {
        self.call(status, headers, false)
    }

    fn restart(self) -> Self {
        self.call("500 Internal Server Error", &[TEXT], true)
    }

    fn write(mut self, bytes: usize) -> Self {
        let written = self.exchange.write(Bytes::from(vec![0; bytes]));
        self.event(Event::Write {
            bytes: bytes as u64,
            refused: written.err(),
        })
    }

    fn bytes(mut self, bytes: usize) -> Self {
        let sent = self.exchange.whole(Bytes::from(vec![0; bytes]));
        let script = self.event(Event::Returned(Returned::Bytes(bytes as u64)));
        match sent {
            Ok(_) => script,
            Err(broken) => script.event(Event::Broken(broken)),
        }
    }

    fn block(mut self, bytes: usize) -> Self {
        self.exchange.iteration_began();
        let sent = self.exchange.block(Bytes::from(vec![0; bytes]));
        let script = self.event(Event::Block(bytes as u64));
        match sent {
            Ok(_) => script,
            Err(broken) => script.event(Event::Broken(broken)),
        }
    }

    fn ends(mut self) -> Self {
        let sent = self.exchange.finish();
        let script = self.event(Event::Exhausted);
        match sent {
            Ok(_) => script,
            Err(broken) => script.event(Event::Broken(broken)),
        }
    }

    #[track_caller]
    fn finds(self, names: &[&str]) {
        let findings = lint(&self.transcript);
        let found: Vec<&str> = findings.iter().map(|finding| finding.rule.name).collect();
        assert_eq!(found, names, "{findings:?}");
    }
}

fn script() -> Script {
    Script::new(false)
}

#[test]
fn what_is_as_it_should_be_is_not_found() {
    script().start("200 OK", &[TEXT]).bytes(14).finds(&[]);
    script().start("204 No Content", &[]).bytes(0).finds(&[]);
    script()
        .start("304 Not Modified", &[("ETag", "\"1\"")])
        .bytes(0)
        .finds(&[]);
    let length = ("Content-Length", "5");
    script()
        .start("200 OK", &[TEXT, length])
        .write(2)
        .block(3)
        .ends()
        .finds(&[]);
    script()
        .start("200 ", &[TEXT])
        .block(0)
        .block(1)
        .ends()
        .finds(&[]);
    // HEAD: the length is that of the answer to GET.
    Script::new(true)
        .start("200 OK", &[TEXT, length])
        .bytes(9)
        .finds(&[]);
    // An application changes its mind before anything is out.
    script()
        .start("200 OK", &[TEXT])
        .restart()
        .bytes(1)
        .finds(&[]);
}

#[test]
fn what_a_host_refuses_is_found() {
    let check = |status, headers: &[(&str, &str)], name| {
        script().start(status, headers).finds(&[name]);
    };
    check("200", &[TEXT], "bad-status");
    check("2000 OK", &[TEXT], "bad-status");
    check("100 Continue", &[TEXT], "bad-status");
    check("200 OK\r\nX: 1", &[TEXT], "bad-status");
    check("200 OK", &[("a b", "1")], "bad-name");
    check("200 OK", &[("a:", "1")], "bad-name");
    check("200 OK", &[("a", "1\r\nb: 2")], "bad-value");
    check("200 OK", &[("a", "\u{3b1}")], "not-latin1");
    check("200 \u{3b1}", &[], "not-latin1");
    check("200 OK", &[("Connection", "close")], "hop-by-hop");
    check("200 OK", &[("Transfer-Encoding", "chunked")], "hop-by-hop");
    check("200 OK", &[("Content-Length", "-1")], "bad-content-length");
    check(
        "200 OK",
        &[("Content-Length", "1"), ("Content-Length", "2")],
        "bad-content-length",
    );
    let long = "x".repeat(70_000);
    check("200 OK", &[("a", &long)], "head-too-large");
}

#[test]
fn what_a_host_takes_and_others_may_not_is_found() {
    let check = |status, headers: &[(&str, &str)], name| {
        script().start(status, headers).bytes(0).finds(&[name]);
        script().start(status, headers).finds(&[name]);
    };
    check("200 OK ", &[TEXT], "status-blank");
    check("799 Odd", &[TEXT], "unusual-status");
    check("200 OK", &[TEXT, ("Status", "200")], "status-field");
    check("200 OK", &[TEXT, ("2nd", "1")], "odd-name");
    check("200 OK", &[TEXT, ("a!b", "1")], "odd-name");
    check("200 OK", &[TEXT, ("a_", "1")], "name-ending");
    check("200 OK", &[TEXT, ("a", "1\t2")], "tab-in-value");
    check(
        "200 OK",
        &[TEXT, ("Content-Length", "0"), ("content-length", "0")],
        "two-content-lengths",
    );
    check("204 No Content", &[TEXT], "content-type-without-body");
    check("304 Not Modified", &[TEXT], "content-type-without-body");
}

#[test]
fn a_body_needs_a_type_and_no_body_needs_none() {
    script()
        .start("200 OK", &[])
        .bytes(1)
        .finds(&["no-content-type"]);
    script()
        .start("405 Method Not Allowed", &[])
        .bytes(0)
        .finds(&[]);
    script().start("303 See Other", &[]).ends().finds(&[]);
}

#[test]
fn calls_out_of_their_order_are_found() {
    script()
        .start("200 OK", &[TEXT])
        .start("200 OK", &[TEXT])
        .bytes(0)
        .finds(&["started-twice"]);
    script().bytes(1).finds(&["not-started"]);
    script().block(1).finds(&["not-started"]);
    script()
        .start("200 OK", &[TEXT])
        .block(1)
        .write(1)
        .ends()
        .finds(&["write-in-body"]);
}

#[test]
fn an_answer_that_cannot_be_changed_any_more_must_be_given_up() {
    let late = || script().start("200 OK", &[TEXT]).write(1).restart();
    late().bytes(1).finds(&["went-on-after-headers-sent"]);
    late()
        .event(Event::Exception("Error: it".to_owned()))
        .finds(&[]);
}

#[test]
fn lengths_that_do_not_fit_are_found() {
    let five = [TEXT, ("Content-Length", "5")];
    script()
        .start("200 OK", &five)
        .bytes(6)
        .finds(&["longer-than-content-length"]);
    script()
        .start("200 OK", &five)
        .block(3)
        .block(3)
        .ends()
        .finds(&["longer-than-content-length"]);
    script()
        .start("200 OK", &five)
        .write(6)
        .block(5)
        .ends()
        .finds(&["longer-than-content-length"]);
    script()
        .start("200 OK", &five)
        .bytes(4)
        .finds(&["shorter-than-content-length"]);
    script()
        .start("200 OK", &five)
        .block(3)
        .ends()
        .finds(&["shorter-than-content-length"]);
    script()
        .start("204 No Content", &[])
        .bytes(3)
        .finds(&["body-without-room"]);
    script()
        .start("304 Not Modified", &[])
        .block(3)
        .ends()
        .finds(&["body-without-room"]);
}

#[test]
fn failures_are_found_with_what_they_say() {
    let exception = || Event::Exception("Error: a\u{1b}[31mb".to_owned());
    script().event(exception()).finds(&["error-returned"]);
    let findings = lint(&script().event(exception()).transcript);
    assert_eq!(findings[0].seen, "Error: a\\u{1b}[31mb");
    script()
        .event(Event::Ended("it trapped".to_owned()))
        .finds(&["ended"]);
    script()
        .start("200 OK", &[TEXT])
        .block(1)
        .ends()
        .event(Event::CloseFailed("Error: it".to_owned()))
        .finds(&["close-failed"]);
}

#[test]
fn a_head_is_looked_at_however_its_body_ends() {
    let five = [("Content-Length", "5")];
    script()
        .start("200 OK", &five)
        .block(5)
        .finds(&["no-content-type"]);
    let host = Event::Returned(Returned::Host);
    script()
        .start("200 OK", &[])
        .event(host)
        .finds(&["no-content-type"]);
}

#[test]
fn each_rule_is_told_once_and_has_a_name_of_its_own() {
    let fields = [TEXT, ("a_", "1"), ("b_", "2")];
    script()
        .start("200 OK", &fields)
        .bytes(0)
        .finds(&["name-ending"]);
    let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), RULES.len());
}
