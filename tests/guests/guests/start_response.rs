//! Runs a script of `start`, `write`, return and yield: one guest for the whole
//! state machine of `start-response`.
//!
//! The query holds up to three scripts, `?app=...&next=...&close=...`: for the
//! call of `app`, for the calls of `next` together, for `close`. A script is a
//! list of steps with `;` between them; a step is a name, or a name, `:` and
//! arguments with `,` between them. Arguments are percent-decoded after they
//! were split, texts as UTF-8 (`%C3%A9` is U+00E9, `%E2%82%AC` is no latin-1),
//! bytes as they are. `N*` before a step repeats it, as in `100*yield`.
//!
//! | step | what it does |
//! |---|---|
//! | `start:STATUS,NAME=VALUE,...` | `start` without exc-info |
//! | `fail:STATUS,NAME=VALUE,...` | `start` with exc-info; a failure is only reported |
//! | `restart:STATUS,NAME=VALUE,...` | `start` with exc-info; `headers-sent` raises it again |
//! | `write:BYTES` | by the writer of the latest `start` that succeeded |
//! | `stale:BYTES` | by the writer of the first |
//! | `fill:N` | writes one block of N times `x` |
//! | `yield:BYTES` | (`next`) one block; without bytes an empty one |
//! | `yieldfill:N` | (`next`) one block of N times `x` |
//! | `bytes:BYTES` | (`app`) returns `bytes` |
//! | `bytesfill:N` | (`app`) returns `bytes` of N times `x` |
//! | `empty` | (`app`) returns `empty` |
//! | `report` | returns, or yields, what happened so far as a JSON array of strings |
//! | `raise:TEXT` | returns an error |
//! | `end` | (`next`) exhausted |
//! | `log:TEXT` | a line to `wsgi.errors` |
//! | `sleep:MS` | waits |
//! | `trap` | traps |
//!
//! At the end of its script `app` returns the iterator if there is a `next` or a
//! `close`, else `empty`; `next` is exhausted. Each `start` and `write` adds a
//! line to the report and to the log: script, step, outcome, as in
//! `app start ok`, `next write body-started`, `app start bad-header-name X Y`.
//! For: S25 to S33, S40 to S50, S60, docs/protocol.md 1.4 and 1.5, A4, A8, A13.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use wasm_gw_guest::{
    Body, Environ, Error, Errors, Result, StartError, StartResponse, WriteError, Writer,
};
use wasm_gw_test_guests::{Query, decode, decode_text, json_array, json_string, trap};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut machine = Machine {
        start_response,
        errors: environ.errors(),
        writers: Vec::new(),
        report: Vec::new(),
    };

    let mut script = Script::of(&query, "app");
    match machine.run(&mut script)? {
        Flow::Block(bytes) => return Ok(bytes.into()),
        Flow::Empty => return Ok(Body::empty()),
        Flow::End => {}
    }
    if !query.has("next") && !query.has("close") {
        return Ok(Body::empty());
    }

    let machine = Rc::new(RefCell::new(machine));
    let closing = Rc::clone(&machine);
    let mut next = Script::of(&query, "next");
    let mut close = Script::of(&query, "close");
    let blocks = std::iter::from_fn(move || match machine.borrow_mut().run(&mut next) {
        Ok(Flow::Block(bytes)) => Some(Ok(bytes)),
        Ok(Flow::Empty) => Some(Ok(Vec::new())),
        Ok(Flow::End) => None,
        Err(error) => Some(Err(error)),
    });
    Ok(Body::with_close(blocks, move || {
        closing.borrow_mut().run(&mut close).map(drop)
    }))
}

/// Where a script comes to rest.
enum Flow {
    Block(Vec<u8>),
    Empty,
    End,
}

/// The steps that are left.
struct Script {
    name: &'static str,
    steps: VecDeque<(u64, String)>,
}

impl Script {
    fn of(query: &Query, name: &'static str) -> Self {
        let steps = query.raw(name).unwrap_or_default().split(';');
        Self {
            name,
            steps: steps
                .filter(|step| !step.is_empty())
                .map(|step| match step.split_once('*') {
                    Some((count, step)) if count.bytes().all(|byte| byte.is_ascii_digit()) => {
                        (count.parse().unwrap_or(0), step.to_owned())
                    }
                    _ => (1, step.to_owned()),
                })
                .collect(),
        }
    }

    fn next(&mut self) -> Option<String> {
        loop {
            let (count, step) = self.steps.front_mut()?;
            if *count == 0 {
                self.steps.pop_front();
                continue;
            }
            *count -= 1;
            return Some(step.clone());
        }
    }
}

struct Machine {
    start_response: StartResponse,
    errors: Errors,
    writers: Vec<Writer>,
    report: Vec<String>,
}

impl Machine {
    fn run(&mut self, script: &mut Script) -> Result<Flow> {
        while let Some(step) = script.next() {
            let (op, argument) = step.split_once(':').unwrap_or((&step, ""));
            let outcome = match op {
                "start" => self.start(argument, None),
                "fail" | "restart" => {
                    let failure = Error::new("Scripted", "the script's error");
                    let outcome = self.start(argument, Some(&failure));
                    if op == "restart" && outcome == "headers-sent" {
                        self.note(script.name, op, &outcome);
                        return Err(failure);
                    }
                    outcome
                }
                "write" => write(self.writers.last(), &decode(argument)),
                "stale" => write(self.writers.first(), &decode(argument)),
                "fill" => write(self.writers.last(), &filling(argument)?),
                "yield" | "bytes" => return Ok(Flow::Block(decode(argument))),
                "yieldfill" | "bytesfill" => return Ok(Flow::Block(filling(argument)?)),
                "empty" => return Ok(Flow::Empty),
                "report" => {
                    let report = json_array(self.report.iter().map(|line| json_string(line)));
                    return Ok(Flow::Block(report.into_bytes()));
                }
                "raise" => return Err(Error::new("Scripted", decode_text(argument))),
                "end" => return Ok(Flow::End),
                "log" => {
                    writeln!(self.errors, "{}", decode_text(argument));
                    continue;
                }
                "sleep" => {
                    std::thread::sleep(Duration::from_millis(argument.parse()?));
                    continue;
                }
                "trap" => trap(),
                _ => return Err(Error::msg(format!("no step {op:?}"))),
            };
            self.note(script.name, op, &outcome);
        }
        Ok(Flow::End)
    }

    fn note(&mut self, script: &str, op: &str, outcome: &str) {
        let line = format!("{script} {op} {outcome}");
        writeln!(self.errors, "{line}");
        self.report.push(line);
    }

    fn start(&mut self, argument: &str, failure: Option<&Error>) -> String {
        let mut arguments = argument.split(',');
        let status = decode_text(arguments.next().unwrap_or_default());
        let headers: Vec<(String, String)> = arguments
            .map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                (decode_text(name), decode_text(value))
            })
            .collect();
        let started = self
            .start_response
            .start_with_headers(&status, &headers, failure);
        match started {
            Ok(writer) => {
                self.writers.push(writer);
                "ok".to_owned()
            }
            Err(error) => name_of(error),
        }
    }
}

fn filling(count: &str) -> Result<Vec<u8>> {
    Ok(vec![b'x'; count.parse()?])
}

fn write(writer: Option<&Writer>, block: &[u8]) -> String {
    let outcome = match writer {
        None => return "no-writer".to_owned(),
        Some(writer) => writer.write_block(block),
    };
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(WriteError::Disconnected) => "disconnected".to_owned(),
        Err(WriteError::ContentLengthExceeded) => "content-length-exceeded".to_owned(),
        Err(WriteError::BodyStarted) => "body-started".to_owned(),
        Err(WriteError::Aborted) => "aborted".to_owned(),
        Err(WriteError::Other(text)) => format!("other {text}"),
    }
}

fn name_of(error: StartError) -> String {
    match error {
        StartError::AlreadyStarted => "already-started".to_owned(),
        StartError::HeadersSent => "headers-sent".to_owned(),
        StartError::BadStatus(text) => format!("bad-status {text}"),
        StartError::BadHeaderName(name) => format!("bad-header-name {name}"),
        StartError::BadHeaderValue(name) => format!("bad-header-value {name}"),
        StartError::NotLatin1(text) => format!("not-latin1 {text}"),
        StartError::HopByHop(name) => format!("hop-by-hop {name}"),
        StartError::BadContentLength(text) => format!("bad-content-length {text}"),
        StartError::TooLarge => "too-large".to_owned(),
        StartError::Disconnected => "disconnected".to_owned(),
    }
}

wasm_gw_guest::export!(app);
