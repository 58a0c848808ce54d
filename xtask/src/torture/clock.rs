//! A clock that jumps, by the library `faketime` and for the server alone: the machine's own clock is never set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::case::{Case, Found, Needs, Proof};
use super::probe::Probe;
use super::server::Server;
use super::setting::Setting;
use super::wire::PATIENCE;
use crate::kit::http::{Kept, Request};
use crate::shell::{output, run};

pub(super) const CASES: &[Case] = &[Case {
    name: "clock-jump",
    shows: "the clock of the wall jumps a day forward and two back, while clients ask and guests run",
    expected: "nothing is cut and a good client does not notice; Date follows; one line in the log for each jump",
    needs: Needs::Http,
    proof: Proof::Otherwise {
        how: "the clock that times are measured by jumps, too",
        run: |setting| jumps(setting, true),
    },
    waits: false,
    run: |setting| jumps(setting, false),
}];

fn jumps(setting: &Setting, all_clocks: bool) -> Result<Found> {
    let Some(library) = faketime() else {
        return Ok(Found::skipped(
            "libfaketime is not installed, and cannot be",
        ));
    };
    let file = setting.folder().join("clock");
    fs::write(&file, "+0")?;
    let mut launch = setting
        .launch()
        .variable("LD_PRELOAD", library.display().to_string())
        .variable("FAKETIME_TIMESTAMP_FILE", file.display().to_string())
        .variable("FAKETIME_CACHE_DURATION", "1");
    if !all_clocks {
        launch = launch.variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    let server = launch.start()?;
    let mut found = Found::default();
    let probe = Probe::start(&server)?;
    // A client that keeps its connection over the jumps, and asks now and then.
    let mut kept = Kept::new(server.address, PATIENCE);
    let begin = date(&mut kept)?;
    for (offset, days) in [("+1d", 1), ("-1d", -1)] {
        thread::sleep(Duration::from_millis(500));
        fs::write(&file, offset)?;
        // Longer than it takes the server to look at its clock.
        thread::sleep(Duration::from_secs(6));
        found.demand(kept.is_open(), "a connection that was kept was closed");
        match date(&mut kept) {
            Ok(now) => {
                let went = (now - begin) / 3600;
                let expected = days * 24;
                found.demand(
                    (expected - 1..=expected + 1).contains(&went),
                    format!("{offset}: Date went by {went} hours"),
                );
            }
            Err(error) => found.demand(false, format!("{offset}: {error:#}")),
        }
    }
    probe.finish().judge(&mut found, setting);
    if setting.target.is_gateway() {
        told(&mut found, &server);
    }
    Ok(found)
}

/// One line for each jump.
fn told(found: &mut Found, server: &Server) {
    let lines = server.lines("the clock was set");
    found.demand(lines == 2, format!("{lines} lines in the log for 2 jumps"));
}

/// What the server says that it is, in seconds since 1970.
fn date(client: &mut Kept) -> Result<i64> {
    let answer = client.ask(&Request::get("/"))?;
    let date = answer.header("date").unwrap_or_default().to_owned();
    let seconds = output(Command::new("date").args(["-d", &date, "+%s"]))?;
    Ok(seconds.trim().parse()?)
}

/// The library, which is installed if it can be.
fn faketime() -> Option<PathBuf> {
    let find = || {
        let folders = [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib",
            "/usr/lib64",
        ];
        folders
            .into_iter()
            .map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.exists())
    };
    if find().is_none() && output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        eprintln!("== installing libfaketime by apt-get");
        let mut install = Command::new("apt-get");
        let _ = run(install.args(["install", "-y", "-qq", "libfaketime"]));
    }
    find()
}
