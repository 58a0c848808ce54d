//! How long a server takes from its start to its first answer, with a cache of compiled code that
//! is empty or has the component.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::contender::{Contender, Site, WASM_GW, WASMTIME_P2};
use super::get;
use super::work::{App, Work};
use crate::kit::process::{free_address, work_folder};

/// How often it is asked. Far below the shortest start.
const LOOK: Duration = Duration::from_micros(200);
/// How long it may take. A large component is compiled in that time.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a cache must stay as it is before it is taken to be written.
const STILL: Duration = Duration::from_millis(500);

/// All starts of one contender with one application.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Starts {
    pub(crate) contender: String,
    pub(crate) app: &'static str,
    pub(crate) cold_ms: Vec<f64>,
    pub(crate) warm_ms: Vec<f64>,
}

/// Starts those that compile, so often each, in turns.
pub(crate) fn run(
    contenders: &[Contender],
    works: &[Work],
    times: usize,
    missing: &mut Vec<String>,
) -> Result<Vec<Starts>> {
    let mut all = Vec::new();
    for app in [App::Hello, App::Snapshot] {
        let Some(work) = works.iter().find(|work| work.app == app) else {
            continue;
        };
        let compiles = |contender: &&Contender| {
            [WASM_GW, WASMTIME_P2].contains(&contender.kind.name) && contender.has(work)
        };
        let mut candidates = Vec::new();
        for contender in contenders.iter().filter(compiles) {
            let place = Place::of(contender, &app)?;
            if contender.kind.name == WASMTIME_P2
                && get::wasmtime_cache(&contender.got, &place.cache).is_none()
            {
                missing.push(format!(
                    "{}: start: {} was built without its cache; without it the bench would build \
                     one that has it into target/tools",
                    contender.name,
                    contender.got.program.display()
                ));
                continue;
            }
            candidates.push((place, Vec::new(), Vec::new()));
        }
        for time in 1..=times {
            eprintln!("== start {time} of {times}: {}", app.name());
            for (place, cold, warm) in &mut candidates {
                let [without, with] = place
                    .cold_and_warm()
                    .with_context(|| format!("{}: start", place.contender.name))?;
                cold.push(without);
                warm.push(with);
            }
        }
        all.extend(
            candidates
                .into_iter()
                .map(|(place, cold_ms, warm_ms)| Starts {
                    contender: place.contender.name.clone(),
                    app: app.name(),
                    cold_ms,
                    warm_ms,
                }),
        );
    }
    Ok(all)
}

struct Place<'a> {
    contender: &'a Contender,
    app: &'a App,
    cache: PathBuf,
}

impl<'a> Place<'a> {
    fn of(contender: &'a Contender, app: &'a App) -> Result<Self> {
        let folder = work_folder()?.join("speed");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            contender,
            app,
            cache: folder.join(format!("{}-start-{}", contender.name, app.name())),
        })
    }

    /// One start without anything in the cache, and one with what it left there; in milliseconds.
    fn cold_and_warm(&self) -> Result<[f64; 2]> {
        if self.cache.exists() {
            fs::remove_dir_all(&self.cache)?;
        }
        fs::create_dir_all(&self.cache)?;
        let cold = {
            let (_server, cold) = self.start()?;
            wait_until_still(&self.cache)?;
            cold
        };
        let compiled = entries(&self.cache)?;
        ensure!(!compiled.is_empty(), "it left nothing in its cache");
        let warm = {
            let (_server, warm) = self.start()?;
            wait_until_still(&self.cache)?;
            warm
        };
        let more = entries(&self.cache)?;
        ensure!(
            more.is_subset(&compiled),
            "it compiled again, though its cache was filled"
        );
        Ok([cold, warm])
    }

    fn start(&self) -> Result<(Ended, f64)> {
        let address = free_address()?;
        let log = self.cache.with_extension("log");
        let site = Site {
            app: self.app,
            address,
            cache: &self.cache,
        };
        // Without a wrapper, which would be part of what is measured.
        let program = Command::new(&self.contender.got.program);
        let mut command = self.contender.command(program, &site);
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        let begin = Instant::now();
        let mut server = Ended(command.spawn()?);
        while !answers(address) {
            if let Some(status) = server.0.try_wait()? {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("it ended: {status}\n{said}");
            }
            ensure!(begin.elapsed() < PATIENCE, "no answer within {PATIENCE:?}");
            thread::sleep(LOOK);
        }
        Ok((server, begin.elapsed().as_secs_f64() * 1e3))
    }
}

/// A server that is killed when it is no longer needed.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it says 200 to a request on a new connection.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Caches are written beside the first answer, and after it.
fn wait_until_still(cache: &Path) -> Result<()> {
    let begin = Instant::now();
    let mut last = files(cache)?;
    let mut since = Instant::now();
    while since.elapsed() < STILL || last.is_empty() {
        ensure!(
            begin.elapsed() < PATIENCE,
            "its cache is still written to after {PATIENCE:?}, or never was"
        );
        thread::sleep(Duration::from_millis(20));
        let now = files(cache)?;
        if now != last {
            last = now;
            since = Instant::now();
        }
    }
    Ok(())
}

/// What is compiled in a cache. How often it was used is none of it.
fn entries(cache: &Path) -> Result<BTreeSet<PathBuf>> {
    let all = files(cache)?.into_iter().map(|(path, _)| path);
    let is_entry = |path: &PathBuf| path.extension().is_none_or(|kind| kind != "stats");
    Ok(all.filter(is_entry).collect())
}

/// Files and their lengths.
fn files(folder: &Path) -> Result<BTreeSet<(PathBuf, u64)>> {
    let mut all = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            // One that is renamed just now is seen the next time.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                all.insert((entry.path(), metadata.len()));
            }
        }
    }
    Ok(all)
}
