//! Whether what an application changed while it was warmed shows in what its instances answer.
//!
//! Each path is asked again, of fresh instances of the component. The first is asked what the build asked first, at
//! the time of then by its clocks; others come from other clients, at other times. Where all of them agree and the
//! build's first answer differs, the application has kept something. Where they differ from each other it is chance
//! or time that speaks, and nothing can be said.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Request;
use wasm_gw_build::Progress;
use wasm_gw_build::python::{MOST_WARMED_BODY, Made, Warmed};
use wasm_gw_protocol::escape;
use wasm_gw_protocol::lint::Event;
use wasm_gw_runtime::testing::{self, Called, Clocks};
use wasm_gw_runtime::{App, AppConfig, CacheConfig, ConnInfo, RequestId, Runtime, RuntimeConfig};

use crate::commands::serve::default_cache_dir;

/// Instances that are asked in any case, and if they all say something else than was said at the build. What is drawn
/// from as few as two is then the same in all of them once in sixty thousand times.
const FIRST: u32 = 2;
const AT_MOST: u32 = 16;

/// Between two instances, by their clocks: no part of a date is the same in all of them.
const APART: Duration = Duration::from_millis((((397 * 24 + 5) * 60 + 13) * 60 + 7) * 1_000 + 123);

/// Times that a request takes differ, too, however they are rounded.
const STEP: Duration = Duration::from_millis(1_101);

/// Asks all paths that were warmed.
pub(super) fn check(
    made: &Made,
    env: &[(String, String)],
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    progress.begin("warm", "the same of fresh instances");
    let mut config = AppConfig::new(&made.name);
    // As it was there at the build.
    config.grants.env = env.to_vec();
    let runtime = Runtime::new(RuntimeConfig {
        instances: 2,
        max_memory: config.limits.memory,
        cache: default_cache_dir().map(CacheConfig::new),
        ..RuntimeConfig::default()
    })?;
    let app = App::load_file(&runtime, config, &made.component)?;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let mut statuses = Vec::new();
    for warmed in &made.warmed {
        for part in tokio.block_on(check_one(&app, warmed))? {
            progress.note(&format!(
                "{}: {part} is another in each instance, and was not compared",
                warmed.path
            ));
        }
        let code = warmed.status.split(' ').next().unwrap_or_default();
        statuses.push(format!("{} {code}", warmed.path));
    }
    progress.end(&statuses.join(", "));
    Ok(())
}

/// Asks one of them, and returns what could not be compared.
async fn check_one(app: &App, warmed: &Warmed) -> anyhow::Result<Vec<String>> {
    let cold = Answer::of_build(warmed);
    let mut fresh = Vec::new();
    for number in 0..AT_MOST {
        if number >= FIRST && cold.compare(&fresh).stayed.is_none() {
            break;
        }
        let called = testing::call_at(app, request(warmed, number), clocks(warmed, number)).await;
        match Answer::of_instance(&called) {
            Ok(answer) => fresh.push(answer),
            Err(why) => bail!(
                "cannot warm {}: it answered {} at the build, and this in an instance:\n{why}\nWhat it keeps from the \
                 build, such as an open file or one in /tmp, is not there any more. Leave this path out of `warm`, or \
                 make such things in each request.",
                warmed.path,
                escape(&warmed.status),
            ),
        }
    }
    let found = cold.compare(&fresh);
    match found.stayed {
        None => Ok(found.unsteady),
        Some(stayed) => bail!(
            "cannot warm {}: what it changes stays in the component\n  {} was, at the build's first request:\n    {}\n  \
             and is, in the first request of each instance:\n    {}\nTo warm a path runs the application's own code, and \
             each request then begins with what that has changed: a counter, a cache with an entry of its own, a list \
             that grows. Leave this path out of `warm`, or keep such state outside of the process.",
            warmed.path,
            stayed.part,
            stayed.cold,
            stayed.fresh
        ),
    }
}

/// What the build asked; but for the first, from somebody else.
fn request(warmed: &Warmed, number: u32) -> Request<Bytes> {
    let mut request = warmed.path.request().map(|()| Bytes::new());
    if number > 0 {
        let port = 50_000 + u16::try_from(number).unwrap_or_default();
        let client = ([127, 0, 0, 1], port).into();
        let conn = ConnInfo::tcp(([127, 0, 0, 1], 8080).into(), client);
        request.extensions_mut().insert(conn);
        let id = RequestId::from_bits(0x0123_4567_89ab_cdef * u128::from(number));
        request.extensions_mut().insert(id);
    }
    request
}

fn clocks(warmed: &Warmed, number: u32) -> Clocks {
    Clocks {
        begin: warmed.at + APART * number,
        step: STEP * number,
    }
}

/// What the application said.
struct Answer {
    status: String,
    headers: Vec<(String, String)>,
    lines: Vec<Vec<u8>>,
}

/// How fresh answers compare with the build's first.
#[derive(Default)]
struct Found {
    /// The first part that is the same in all of them, and not in the build's.
    stayed: Option<Stayed>,
    /// Parts that are not the same in all of them.
    unsteady: Vec<String>,
}

struct Stayed {
    part: String,
    cold: String,
    fresh: String,
}

impl Answer {
    fn of_build(warmed: &Warmed) -> Self {
        Self::new(&warmed.status, &warmed.headers, &warmed.body)
    }

    /// As the application gave it, before the server added to it; or why there is none.
    fn of_instance(called: &Called) -> Result<Self, String> {
        let events = &called.transcript.events;
        let failure = events.iter().find_map(|event| match event {
            Event::Exception(text) | Event::Ended(text) | Event::CloseFailed(text) => {
                Some(text.clone())
            }
            Event::Broken(broken) => Some(broken.to_string()),
            _ => None,
        });
        let start = events.iter().rev().find_map(|event| match event {
            Event::Start {
                status,
                headers,
                refused: None,
                ..
            } => Some((status, headers)),
            _ => None,
        });
        match (failure, start) {
            (None, Some((status, headers))) if !status.starts_with('5') => {
                Ok(Self::new(status, headers, called.response.body()))
            }
            (failure, start) => {
                let status = start.map(|(status, _)| status.clone());
                let why = failure.or(status).unwrap_or_else(|| "nothing".to_owned());
                let last = called.log.len().saturating_sub(20);
                let log = called.log[last..].iter().map(String::as_str);
                let lines: Vec<String> = (why.trim_end().lines().chain(log))
                    .map(|line| format!("  {}", escape(line)))
                    .collect();
                Err(lines.join("\n"))
            }
        }
    }

    fn new(status: &str, headers: &[(String, String)], body: &[u8]) -> Self {
        let kept = &body[..body.len().min(MOST_WARMED_BODY)];
        Self {
            status: status.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                // That of the body, which is compared.
                .filter(|(name, _)| name != "content-length")
                .collect(),
            lines: kept
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect(),
        }
    }

    fn header(&self, name: &str) -> Vec<u8> {
        let values = self.headers.iter().filter(|(its, _)| its == name);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        if values.is_empty() {
            b"(none)".to_vec()
        } else {
            values.join("\n").into_bytes()
        }
    }

    fn line(&self, number: usize) -> Vec<u8> {
        let line = self.lines.get(number).cloned();
        line.unwrap_or_else(|| b"(its end)".to_vec())
    }

    fn compare(&self, fresh: &[Answer]) -> Found {
        let mut found = Found::default();
        let mut one = |part: String, of: &dyn Fn(&Answer) -> Vec<u8>| {
            if found.stayed.is_some() {
                return;
            }
            let cold = of(self);
            let fresh: Vec<Vec<u8>> = fresh.iter().map(of).collect();
            match agreement(&cold, &fresh) {
                Agreement::Same => {}
                Agreement::Unsteady => found.unsteady.push(part),
                Agreement::Stayed => {
                    found.stayed = Some(Stayed {
                        part,
                        cold: shown(&cold),
                        fresh: shown(&fresh[0]),
                    });
                }
            }
        };
        one("the status".to_owned(), &|answer| {
            answer.status.clone().into_bytes()
        });
        let all = || fresh.iter().chain([self]);
        let names: BTreeSet<&str> = all()
            .flat_map(|answer| answer.headers.iter().map(|(name, _)| name.as_str()))
            .collect();
        for name in names {
            one(format!("the header {name}"), &|answer| answer.header(name));
        }
        let lines = all().map(|answer| answer.lines.len()).max().unwrap_or(0);
        for number in 0..lines {
            one(format!("line {} of the body", number + 1), &|answer| {
                answer.line(number)
            });
        }
        found
    }
}

enum Agreement {
    Same,
    /// They differ from each other, and no part of them can be told to have changed for good.
    Unsteady,
    Stayed,
}

/// Compares word by word, so that a counter is found beside a random token; or as a whole, where the words are
/// not as many.
fn agreement(cold: &[u8], fresh: &[Vec<u8>]) -> Agreement {
    if fresh.iter().all(|text| text == cold) {
        return Agreement::Same;
    }
    let cold_words = words(cold);
    let all: Vec<Vec<&[u8]>> = fresh.iter().map(|text| words(text)).collect();
    let columns = if all.iter().all(|words| words.len() == cold_words.len()) {
        (0..cold_words.len())
            .map(|at| (cold_words[at], all.iter().map(|words| words[at]).collect()))
            .collect()
    } else {
        vec![(
            cold,
            fresh.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>(),
        )]
    };
    let stayed = |(cold, fresh): &(&[u8], Vec<&[u8]>)| {
        fresh[0] != *cold && fresh.iter().all(|text| *text == fresh[0])
    };
    if columns.iter().any(stayed) {
        Agreement::Stayed
    } else {
        Agreement::Unsteady
    }
}

/// Letters and digits that stand together, and all else one by one.
fn words(text: &[u8]) -> Vec<&[u8]> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;
    text.chunk_by(|a, b| is_word(*a) && is_word(*b)).collect()
}

fn shown(text: &[u8]) -> String {
    const LENGTH: usize = 300;
    let text = String::from_utf8_lossy(text);
    let mut shown: String = text.chars().take(LENGTH).collect();
    if shown.len() < text.len() {
        shown.push_str(" [...]");
    }
    escape(&shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(header: &str, body: &str) -> Answer {
        let headers = [("X-It".to_owned(), header.to_owned())];
        Answer::new("200 OK", &headers, body.as_bytes())
    }

    fn check(cold: &str, fresh: &[&str]) -> (Option<String>, Vec<String>) {
        let answers: Vec<Answer> = fresh.iter().map(|body| answer("1", body)).collect();
        let found = answer("1", cold).compare(&answers);
        let stayed = found.stayed;
        let told = stayed.map(|it| format!("{}: {} {}", it.part, it.cold, it.fresh));
        (told, found.unsteady)
    }

    #[test]
    fn what_all_instances_say_otherwise_has_stayed() {
        assert_eq!(check("a\nb", &["a\nb", "a\nb"]), (None, vec![]));
        let (stayed, _) = check("a\n1", &["a\n17", "a\n17"]);
        assert_eq!(stayed.unwrap(), "line 2 of the body: 1 17");
        let (stayed, _) = check("a", &["a\nb", "a\nb"]);
        assert_eq!(stayed.unwrap(), "line 2 of the body: (its end) b");
        let found = answer("1", "").compare(&[answer("2", ""), answer("2", "")]);
        assert_eq!(found.stayed.unwrap().part, "the header x-it");
    }

    #[test]
    fn what_differs_between_instances_is_chance_or_time() {
        let (stayed, unsteady) = check("a\nfe", &["a\n12", "a\n34"]);
        assert_eq!(
            (stayed, unsteady),
            (None, vec!["line 2 of the body".to_owned()])
        );
        // One of them is as it was.
        assert!(check("2026", &["2026", "2027"]).0.is_none());
        // The tokens have not as many words.
        assert!(check("t=a-b n=1", &["t=c n=2", "t=d n=3"]).0.is_none());
    }

    #[test]
    fn a_counter_is_found_beside_a_token() {
        let (stayed, _) = check(
            "{token: fe, n: 1}",
            &["{token: 12, n: 17}", "{token: 34, n: 17}"],
        );
        assert!(stayed.is_some());
    }
}
