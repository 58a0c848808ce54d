//! `cargo xtask demo`: the hello guest, served.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{cargo, step, target_folder};
use crate::suite::{build_examples, component};
use crate::tools::ensure_wasm_target;

/// When the demo ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// By Ctrl-C.
    Stopped,
    /// After one answer.
    Answered,
}

pub(crate) fn run(until: Until) -> Result<()> {
    ensure_wasm_target()?;
    build_examples()?;
    step(
        "the host (the first time takes some minutes: wasmtime is large)",
        &mut cargo(".", &["build", "--locked", "--package", "wasm-gw"]),
    )?;
    let component = component("examples", "hello");
    let binary = target_folder().join("debug/wasm-gw");
    eprintln!("\n== serving {}", component.display());
    let mut server = std::process::Command::new(&binary)
        .arg("serve")
        .arg(&component)
        .args(["--listen", &free_address(until)])
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let served = talk(&mut server, until);
    if until == Until::Answered || served.is_err() {
        let _ = server.kill();
    }
    let _ = server.wait();
    served
}

/// Port 8080 if it is free, as people expect; else any.
fn free_address(until: Until) -> String {
    let usual = "127.0.0.1:8080";
    if until == Until::Stopped && TcpListener::bind(usual).is_ok() {
        usual.to_owned()
    } else {
        "127.0.0.1:0".to_owned()
    }
}

/// Passes on what the server says, and asks it once when it listens.
fn talk(server: &mut Child, until: Until) -> Result<()> {
    let said = server.stderr.take().context("the server has no stderr")?;
    for line in BufReader::new(said).lines() {
        let line = line?;
        eprintln!("{line}");
        let Some((_, address)) = line.split_once("listens  http://") else {
            continue;
        };
        let answer = ask(address.trim())?;
        eprintln!("\n$ curl http://{}/\n{answer}", address.trim());
        if until == Until::Answered {
            return Ok(());
        }
        eprintln!("It goes on until you press Ctrl-C. Try the line above in another terminal.\n");
    }
    let status = server.wait()?;
    ensure!(status.success(), "the server ended with {status}");
    if until == Until::Answered {
        bail!("the server ended before it listened");
    }
    Ok(())
}

/// Asks once, and hopes for what the hello guest says.
pub(crate) fn ask(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    ensure!(
        head.starts_with("HTTP/1.1 200 "),
        "not the answer that was hoped for: {head}"
    );
    ensure!(
        body == "hello, world\n",
        "not the body that was hoped for: {body:?}"
    );
    Ok(body.to_owned())
}
