//! Runs each case in each language as a test of its own, `rust::hello`: serves the component over a
//! real socket, sends the case's requests and compares with its one expectation. README.md says how
//! to add a case or a language.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
#![expect(clippy::print_stdout, reason = "it says what is not tested yet")]

mod case;
mod columns;

use std::process::ExitCode;
use std::sync::Arc;

use http::HeaderValue;
use libtest_mimic::{Arguments, Failed, Trial};
use wasm_gw_tests::client::End;
use wasm_gw_tests::server::runtime;
use wasm_gw_tests::{Response, TestApp, TestServer, eventually, log};

use crate::case::{Case, Exchange, Expect, Transfer};
use crate::columns::{COLUMNS, Column};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One after the other, so that no instance alive means: this case's application has ended.
    arguments.test_threads = Some(1);

    let cases: Vec<Arc<Row>> = columns::names()
        .iter()
        .map(|name| Arc::new(Row::of(name)))
        .collect();
    let mut trials = vec![Trial::test("rust_builds_no_case_that_is_gone", no_strays)];
    for column in &COLUMNS {
        let (written, missing): (Vec<_>, Vec<_>) =
            cases.iter().partition(|row| column.has(&row.name));
        for row in written {
            let name = format!("{}::{}", column.language, row.name);
            let row = Arc::clone(row);
            trials.push(Trial::test(name, move || row.run(column)));
        }
        if !arguments.list && !missing.is_empty() {
            println!("{}", not_yet(column, &missing));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn not_yet(column: &Column, missing: &[&Arc<Row>]) -> String {
    let language = column.language;
    if column.exists() {
        let names: Vec<&str> = missing.iter().map(|row| row.name.as_str()).collect();
        format!("{language}: not yet: {}", names.join(", "))
    } else {
        format!("{language}: not yet")
    }
}

fn no_strays() -> Result<(), Failed> {
    match columns::stray_examples().as_slice() {
        [] => Ok(()),
        stray => Err(format!("no case is called {}", stray.join(", ")).into()),
    }
}

/// One case, read or not readable.
struct Row {
    name: String,
    case: Result<Case, String>,
}

impl Row {
    fn of(name: &str) -> Self {
        let path = columns::cases().join(name).join("case.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let case = text.and_then(|text| Case::parse(&text));
        let case = case.map_err(|error| format!("cases/{name}/case.toml: {error}"));
        Self {
            name: name.to_owned(),
            case,
        }
    }

    fn run(&self, column: &Column) -> Result<(), Failed> {
        let case = self.case.as_ref()?;
        let component = column.component(&self.name)?;
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        tokio.block_on(async {
            // A column may have one component for all cases, which asks it which it is.
            let case_name = ("CASE".to_owned(), self.name.clone());
            let mut app = TestApp::of_component(&self.name, component)
                .app(|config| config.grants.env.push(case_name));
            if let Some(mount) = &case.mount {
                app = app.mounted(mount);
            }
            if let Some(server) = &case.server_header {
                let value = HeaderValue::from_str(server)?;
                app = app.app(|config| config.server_header = Some(value));
            }
            let server = app.serve().await;
            for (index, exchange) in case.exchange.iter().enumerate() {
                run(&server, exchange).await.map_err(|problem| {
                    let Exchange { method, target, .. } = exchange;
                    format!("exchange {}, {method} {target}: {problem}", index + 1)
                })?;
            }
            Ok(())
        })
    }
}

async fn run(server: &TestServer, exchange: &Exchange) -> Result<(), String> {
    let request = exchange.request()?;
    let expect = &exchange.expect;
    let (response, chunks) = match &expect.chunks {
        None => (server.send(&request).await, None),
        Some(_) => by_chunk(server, &request).await,
    };
    head(expect, &response)?;
    body(expect, &response, chunks)?;
    // Only then is all said that it will say.
    eventually("the end of the application", || {
        (runtime().instances() == 0).then_some(())
    })
    .await;
    logs(expect, response.id())
}

/// The response, and its chunks as they were framed.
async fn by_chunk(server: &TestServer, request: &[u8]) -> (Response, Option<Vec<Vec<u8>>>) {
    let mut client = server.connect().await;
    client.send(request).await;
    let mut response = client.head().await;
    if response.header("transfer-encoding").is_none() {
        return (response, None);
    }
    let mut chunks = Vec::new();
    response.end = loop {
        match client.chunk().await {
            Ok(Some(chunk)) if chunk.is_empty() => break End::Whole,
            Ok(Some(chunk)) => chunks.push(chunk),
            Ok(None) => break End::CutOff,
            Err(_) => break End::Reset,
        }
    };
    (response, Some(chunks))
}

fn head(expect: &Expect, response: &Response) -> Result<(), String> {
    same("status", &response.status, &expect.status)
        .map_err(|problem| format!("{problem}\n{response:?}\n{}", response.text()))?;
    if let Some(reason) = &expect.reason {
        same("reason phrase", &response.reason, reason)?;
    }
    for (name, values) in &expect.headers {
        same(name, &response.all(name), &values.values())?;
    }
    for name in &expect.present {
        same(&format!("number of {name}"), &response.all(name).len(), &1)?;
    }
    for name in &expect.absent {
        same(name, &response.all(name), &Vec::new())?;
    }
    Ok(())
}

fn body(expect: &Expect, response: &Response, chunks: Option<Vec<Vec<u8>>>) -> Result<(), String> {
    let transfer = match response.end {
        End::Whole | End::Closed => Transfer::Whole,
        End::CutOff | End::Reset => Transfer::Aborted,
    };
    same("transfer", &transfer, &expect.transfer)?;
    if let Some(body) = &expect.body {
        same("body", &Shown(&response.body), &Shown(&body.to_vec()?))?;
    }
    if let Some(expected) = &expect.chunks {
        let chunks = chunks.ok_or("the body is not chunked")?;
        let expected = expected
            .iter()
            .map(|chunk| chunk.to_vec())
            .collect::<Result<Vec<_>, _>>()?;
        let shown = |chunks: &[Vec<u8>]| -> Vec<String> {
            chunks
                .iter()
                .map(|chunk| chunk.escape_ascii().to_string())
                .collect()
        };
        same("chunks", &shown(&chunks), &shown(&expected))?;
    }
    match expect
        .body_without
        .iter()
        .find(|text| response.text().contains(*text))
    {
        Some(text) => Err(format!("the body tells `{text}`: {}", response.text())),
        None => Ok(()),
    }
}

fn logs(expect: &Expect, request_id: &str) -> Result<(), String> {
    let streams = [
        ("wsgi.errors", &expect.log.errors),
        ("stdout", &expect.log.stdout),
        ("stderr", &expect.log.stderr),
    ];
    for (stream, lines) in streams {
        if let Some(lines) = lines {
            same(stream, &log::of_guest(request_id, stream), lines)?;
        }
    }
    let Some(text) = &expect.server_log else {
        return Ok(());
    };
    let all = log::of(request_id);
    if all
        .iter()
        .any(|line| !line.fields.contains_key("stream") && line.message.contains(text))
    {
        Ok(())
    } else {
        Err(format!("`{text}` is not in the server's log: {all:#?}"))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}

/// Bytes as a text that is short enough to read.
#[derive(PartialEq)]
struct Shown<'a>(&'a [u8]);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MOST: usize = 2000;
        let start = &self.0[..self.0.len().min(MOST)];
        let more = if self.0.len() > MOST { "..." } else { "" };
        write!(
            f,
            "\"{}{more}\" ({} bytes)",
            start.escape_ascii(),
            self.0.len()
        )
    }
}
