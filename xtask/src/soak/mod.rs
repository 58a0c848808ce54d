//! `cargo xtask soak`: one server for a long time, under all kinds of requests at once, each answer of which is known.
//! Once a minute the load pauses, and what the process holds then is written down. At the end that must be what it
//! held at the beginning, and no answer may have been wrong.
//!
//! | file | what |
//! |---|---|
//! | `server.rs` | the server, its applications, and what is seen of it |
//! | `load.rs` | who asks for what, and what must come |
//! | `verdict.rs` | what the samples say |

mod load;
mod server;
mod verdict;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::kit::machine::Machine;
use crate::shell::{cargo, output, step, target_folder};
use crate::tools::ensure_wasm_target;
use load::Load;
use server::Server;
use verdict::Verdict;

/// Under load between two pauses.
const STRETCH: Duration = Duration::from_secs(50);

/// As long as the first stretch: what is made once is there after it.
const WARM_UP: Duration = Duration::from_secs(30);

/// How often it is looked at under load.
const LOOK: Duration = Duration::from_secs(5);

/// How often all components are loaded anew.
const RELOAD: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Options {
    minutes: u64,
    server: Option<PathBuf>,
    /// Further options of the server.
    options: Vec<String>,
    is_release: bool,
}

impl Options {
    fn of(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            minutes: 60,
            server: None,
            options: Vec::new(),
            is_release: false,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} wants a value"))
            };
            match word {
                "--minutes" => options.minutes = value()?.parse().context("--minutes")?,
                "--server" => options.server = Some(PathBuf::from(value()?)),
                "--options" => {
                    let given = value()?.split_whitespace().map(str::to_owned);
                    options.options.extend(given);
                }
                "--release" => options.is_release = true,
                _ => bail!("there is no option {word} of `cargo xtask soak`"),
            }
        }
        ensure!(options.minutes > 0, "--minutes is 1 at least");
        Ok(options)
    }
}

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::of(words)?;
    ensure_wasm_target()?;
    let binary = match &options.server {
        Some(binary) => binary.clone(),
        None => build(options.is_release)?,
    };
    let guests = server::build_guests()?;
    let version = output(std::process::Command::new(&binary).arg("--version"))?;
    let machine = Machine::new(vec![version.trim().to_owned()]);
    let mut server = Server::start(&binary, &guests, &options.options)?;
    let load = Load::new(server.address);
    let mut verdict = Verdict::default();
    let begin = Instant::now();
    let end = begin + Duration::from_secs(60 * options.minutes);
    let mut stretch = WARM_UP;
    let mut next_reload = begin + RELOAD;
    eprintln!("\n== {} minutes on {}", options.minutes, server.address);
    while Instant::now() < end {
        load.resume();
        let stretch_end = (Instant::now() + stretch).min(end);
        while Instant::now() < stretch_end {
            thread::sleep(LOOK.min(stretch_end.saturating_duration_since(Instant::now())));
            verdict.under_load(&server.look()?);
            if Instant::now() > next_reload {
                server.reload(&guests)?;
                next_reload += RELOAD;
            }
        }
        load.pause()?;
        let sample = server.at_rest()?;
        eprintln!(
            "{:>4} s  {}  {} answers, {} wrong",
            begin.elapsed().as_secs(),
            sample.text(),
            load.answers(),
            load.wrong(),
        );
        verdict.at_rest(begin.elapsed(), sample);
        stretch = STRETCH;
    }
    let answers = load.end();
    verdict.stopped(server.stop()?);
    eprintln!("\n{}", machine.text("Server and load"));
    let report = verdict.report(&answers);
    eprintln!("{}", report.text);
    ensure!(report.holds, "not all of it holds");
    Ok(())
}

/// The server of this checkout.
fn build(is_release: bool) -> Result<PathBuf> {
    let mut build = cargo(".", &["build", "--locked", "--package", "wasm-gw"]);
    if is_release {
        build.arg("--release");
    }
    step("the server", &mut build)?;
    let profile = if is_release { "release" } else { "debug" };
    Ok(target_folder().join(profile).join("wasm-gw"))
}
