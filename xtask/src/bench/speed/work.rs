//! The works: what is asked for, and what a right answer to it is.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::kit::http::{Request, Response};

const MIB: usize = 1 << 20;

/// Connections at once, of a work that is about one request and not about how many.
const MANY: &[u64] = &[64];

/// Something to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// What the report says of it.
    pub(crate) what: &'static str,
    pub(crate) app: App,
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    pub(crate) connections: &'static [u64],
    /// How many times as long as the others it is asked for, so that the slowest end some in a run.
    pub(crate) stretch: u32,
    /// Whether it has servers of its own, since it leaves its mark on them.
    pub(crate) is_alone: bool,
    /// Bytes of a body that each request moves, where the bytes a second are of interest.
    pub(crate) moves: usize,
}

/// Which application has a work. A server serves one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum App {
    Hello,
    /// The same with what any Rust program has; one of ours.
    HelloStd,
    Work,
    Snapshot,
    /// One of benches/python.
    Python(&'static str),
    /// A component of the user's own.
    Given(PathBuf),
}

impl App {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::HelloStd => "hello-std",
            Self::Work => "work",
            Self::Snapshot => "snapshot",
            Self::Python(name) => name,
            Self::Given(_) => "component",
        }
    }
}

/// What a right answer is, beside its status of 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Text(&'static str),
    /// The text, and the fields of the work `headers`.
    Fields(&'static str),
    /// A page that has this, the same one from all contenders.
    Page(&'static str),
    /// A body of so many bytes.
    Size(usize),
    /// A number, the same one from all contenders.
    Number,
    /// What each contender's first answer was.
    AsBefore,
}

const HELLO: &str = "hello, world!\n";

/// How many fields the work `headers` asks with, beside `host`.
const ASKED: usize = 20;
/// How many the app answers with that are counted by their name. With these, its type, its length
/// and what it saw, they are ten.
const ANSWERED: usize = 7;

/// All works, in the order of the report.
pub(crate) fn all() -> Vec<Work> {
    let get = |name, what, app, path, answer| Work {
        name,
        what,
        app,
        request: Request::get(path),
        answer,
        connections: MANY,
        stretch: 1,
        is_alone: false,
        moves: 0,
    };
    let work = |name, what, path, answer| get(name, what, App::Work, path, answer);
    vec![
        Work {
            connections: &[1, 64, 512],
            ..get(
                "hello",
                "14 bytes; of wasm-gw from a component without the standard library",
                App::Hello,
                "/",
                Answer::Text(HELLO),
            )
        },
        get(
            "hello-std",
            "the same, from a component with the standard library",
            App::HelloStd,
            "/",
            Answer::Text(HELLO),
        ),
        Work {
            request: Request {
                headers: (1..=ASKED)
                    .map(|number| {
                        let value = format!("a value of some length, number {number}");
                        (format!("x-bench-{number:02}"), value)
                    })
                    .collect(),
                ..Request::get("/headers")
            },
            ..work(
                "headers",
                "21 header fields in, 10 out",
                "/headers",
                Answer::Fields(HELLO),
            )
        },
        Work {
            moves: MIB,
            ..work(
                "out",
                "1 MiB out, in blocks of 64 KiB",
                "/out",
                Answer::Size(MIB),
            )
        },
        Work {
            request: Request {
                method: "POST",
                body: MIB,
                ..Request::get("/in")
            },
            moves: MIB,
            ..work("in", "1 MiB in", "/in", Answer::Text("1048576\n"))
        },
        Work {
            moves: 1_000_000,
            // With more of them they would all be slow.
            connections: &[8],
            stretch: 3,
            ..work(
                "blocks",
                "10,000 blocks of 100 bytes out",
                "/blocks",
                Answer::Size(1_000_000),
            )
        },
        Work {
            connections: &[1, 64],
            ..work("cpu", "some 5 ms of reckoning", "/cpu", Answer::Number)
        },
        Work {
            // What a slot keeps of so many pages makes all works slower that come after.
            is_alone: true,
            ..work(
                "pages",
                "300 scattered pages written to",
                "/pages",
                Answer::Text(HELLO),
            )
        },
        get(
            "snapshot",
            "a component with 24 MiB of data, of which 20 places are written to",
            App::Snapshot,
            "/",
            Answer::Text(HELLO),
        ),
    ]
}

/// The one work of a component that the user brings.
pub(crate) fn given(component: PathBuf, path: &str) -> Work {
    Work {
        name: "component",
        what: "the given component, beside a hyper that says hello",
        app: App::Given(component),
        request: Request::get(path),
        answer: Answer::AsBefore,
        connections: &[1, 64, 512],
        stretch: 1,
        is_alone: false,
        moves: 0,
    }
}

impl Answer {
    /// Says what is wrong with an answer.
    pub(crate) fn check(self, response: &Response) -> Result<()> {
        ensure!(
            response.status == 200,
            "the status is {} and not 200: {}",
            response.status,
            excerpt(&response.body)
        );
        let body = &response.body;
        match self {
            Self::Text(text) => is_text(body, text),
            Self::Fields(text) => is_text(body, text).and_then(|()| has_fields(response)),
            Self::Page(text) => {
                let has_text = String::from_utf8_lossy(body).contains(text);
                ensure!(has_text, "the body has no {text:?}: {}", excerpt(body));
                Ok(())
            }
            Self::Size(size) => {
                ensure!(
                    body.len() == size,
                    "the body has {} bytes and not {size}",
                    body.len()
                );
                Ok(())
            }
            Self::Number => {
                let digits = body.strip_suffix(b"\n").unwrap_or_default();
                ensure!(
                    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
                    "the body is no number: {}",
                    excerpt(body)
                );
                Ok(())
            }
            Self::AsBefore => Ok(()),
        }
    }

    /// Whether all contenders must have the same body.
    pub(crate) fn is_one_for_all(self) -> bool {
        matches!(self, Self::Number | Self::Page(_))
    }
}

fn is_text(body: &[u8], text: &str) -> Result<()> {
    if body != text.as_bytes() {
        bail!("the body is {} and not {text:?}", excerpt(body));
    }
    Ok(())
}

fn has_fields(response: &Response) -> Result<()> {
    let seen = response.header("x-seen").unwrap_or("nothing");
    ensure!(
        seen == ASKED.to_string(),
        "it saw {seen} of the {ASKED} fields it was sent"
    );
    let answered = response
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-answer-"))
        .count();
    ensure!(
        answered == ANSWERED,
        "it answered with {answered} fields x-answer-N and not with {ANSWERED}"
    );
    Ok(())
}

/// The beginning of a body, for a message.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(80)]);
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(headers: &[(&str, &str)], body: &str) -> Response {
        Response {
            status: 200,
            headers: headers
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: body.into(),
            size: 100,
            is_old: false,
        }
    }

    fn complaint(answer: Answer, response: &Response) -> String {
        answer.check(response).unwrap_err().to_string()
    }

    #[test]
    fn names_are_used_once() {
        let mut names: Vec<&str> = all().iter().map(|work| work.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_wrong_answer_is_told_from_a_right_one() {
        let hello = response(&[], HELLO);
        Answer::Text(HELLO).check(&hello).unwrap();
        Answer::Size(14).check(&hello).unwrap();
        Answer::Number.check(&response(&[], "123\n")).unwrap();
        Answer::Page("world").check(&hello).unwrap();
        assert!(complaint(Answer::Page("<p>"), &hello).contains("no \"<p>\""));
        assert!(complaint(Answer::Text("x"), &hello).contains("hello"));
        assert!(complaint(Answer::Size(15), &hello).contains("14 bytes"));
        assert!(complaint(Answer::Number, &hello).contains("no number"));
        assert!(complaint(Answer::Number, &response(&[], "\n")).contains("no number"));
        let failed = Response {
            status: 503,
            ..hello
        };
        assert!(complaint(Answer::AsBefore, &failed).contains("503"));
    }

    #[test]
    fn fields_are_counted() {
        let mut headers = vec![("x-seen", "20")];
        headers.extend([("x-answer-1", "one"); 7]);
        Answer::Fields(HELLO)
            .check(&response(&headers, HELLO))
            .unwrap();
        let without = response(&headers[1..], HELLO);
        assert!(complaint(Answer::Fields(HELLO), &without).contains("saw nothing"));
        headers.pop();
        let fewer = response(&headers, HELLO);
        assert!(complaint(Answer::Fields(HELLO), &fewer).contains("with 6"));
    }
}
