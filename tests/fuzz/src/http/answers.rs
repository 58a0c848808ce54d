//! What came back, read strictly, and held against what was sent.

use super::server::{END, SEEN};
use super::strict::{Reading, Seen};
use crate::process::see;

/// The answers of one connection.
pub(super) struct Answers(Vec<Answer>);

struct Answer {
    status: u16,
    /// What the service saw, if it was the service that answered.
    seen: Option<Seen>,
}

impl Answers {
    /// Reads all that came.
    #[track_caller]
    pub(super) fn read(received: &[u8]) -> Self {
        let mut answers = Vec::new();
        let mut rest = received;
        while !rest.is_empty() {
            let (answer, length) = answer(rest).unwrap_or_else(|fault| {
                panic!(
                    "{fault} in an answer after {} of {} bytes: {:?}",
                    received.len() - rest.len(),
                    received.len(),
                    String::from_utf8_lossy(rest)
                )
            });
            rest = &rest[length..];
            // An interim answer is none.
            if answer.status >= 200 {
                answers.push(answer);
            }
        }
        Self(answers)
    }

    /// The server has read nothing else than the strict reader, as far as that one got.
    #[track_caller]
    pub(super) fn check(&self, sent: &[u8], reading: &Reading) {
        let text = String::from_utf8_lossy(sent);
        let heads = sent
            .windows(2)
            .filter(|two| two == b"\n\n" || two == b"\n\r")
            .count();
        assert!(
            self.0.len() <= heads + 1,
            "{} answers to {text:?}",
            self.0.len()
        );
        // A refusal closes. So what the service saw comes first, in the order in which it was sent.
        for (index, answer) in self.0.iter().enumerate() {
            let Some(seen) = &answer.seen else {
                see("refused");
                continue;
            };
            see("served");
            if let Some(expected) = reading.requests.get(index) {
                see("compared");
                assert_eq!(seen, expected, "request {index} of {text:?}");
            }
        }
        if reading.must_close {
            let most = reading.requests.len();
            assert!(
                self.0.len() <= most,
                "the connection went on after two framings: {text:?}"
            );
        }
    }
}

/// The first answer and its length. An answer that the connection's end has cut off is not one of ours: all bodies
/// here have a length that is known.
fn answer(bytes: &[u8]) -> Result<(Answer, usize), String> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Err("a head that is cut off".to_owned()),
        Err(error) => return Err(format!("{error} ")),
    };
    let status = parsed.code.unwrap_or(0);
    if !(100..600).contains(&status) {
        return Err(format!("status {status}"));
    }
    let value = |name: &str| {
        let fields = parsed.headers.iter();
        let mut found = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
        let first = found
            .next()
            .and_then(|field| std::str::from_utf8(field.value).ok());
        match found.next() {
            Some(_) => Err(format!("two fields {name}")),
            None => Ok(first),
        }
    };
    if value("transfer-encoding")?.is_some() {
        return Err("a coding that nobody asked for".to_owned());
    }
    let length = match (status, value("content-length")?) {
        (100..200, None) => 0,
        // To HEAD an empty answer need not say that it is.
        (_, None) if value("x-broken")?.is_some() => 0,
        (_, Some(length)) => length.parse::<usize>().map_err(|error| error.to_string())?,
        (_, None) => return Err(format!("{status} without a length")),
    };
    // The service says in a field that there is a head alone, as the answer to HEAD is.
    let is_head = value("x-head")?.is_some();
    // A refusal says it nowhere; but its page begins with the status, which no answer does.
    let page = [format!("{status} "), "{\"status\"".to_owned()];
    let has_page = page
        .iter()
        .any(|page| bytes[head..].starts_with(page.as_bytes()));
    let is_refused_head = value("x-method")?.is_none() && !has_page;
    let length = if is_head || is_refused_head {
        0
    } else {
        length
    };
    let body = bytes.get(head..head + length);
    let body = body.ok_or("a body that is cut off")?;
    let seen = match (value("x-method")?, value("x-target")?) {
        (Some(method), Some(target)) => Some(Seen {
            method: method.to_owned(),
            target: target.to_owned(),
            body: match is_head {
                true => unhex(value("x-body")?.unwrap_or_default()),
                false => body
                    .strip_prefix(SEEN)
                    .and_then(|rest| rest.strip_suffix(END))
                    .ok_or("the service's answer is not whole")?
                    .to_vec(),
            },
        }),
        _ => None,
    };
    Ok((Answer { status, seen }, head + length))
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let texts = pairs.map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    texts
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}
