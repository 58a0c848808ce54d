//! `cargo xtask bench`: how fast the server is beside its peers, and what hostile guests can do to
//! it, measured in one run, since only figures of one machine and one hour can be compared.
//! benches/README.md says what is measured. This file puts the parts together:
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the command line |
//! | `speed/` | wasm-gw beside its peers |
//! | `python/` | `--python`: applications in Python beside the servers that Python has |
//! | `hostile/` | `--fair` and `--bounded` |
//! | `measured.rs` | which build of the server that is |
//! | `wrk.rs`, `wrk.lua` | many requests |
//! | `run.rs` | what these came to |
//! | `judge.rs` | what figures must be |
//!
//! What is not about speed alone is in `kit/`.

mod hostile;
mod judge;
mod measured;
mod options;
mod python;
mod run;
mod speed;
mod wrk;

use anyhow::{Result, ensure};

use crate::tools::ensure_wasm_target;
use options::Options;
pub(crate) use speed::guided;

pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::of(words)?;
    ensure_wasm_target()?;
    let mut verdicts = Vec::new();
    if options.speed {
        verdicts.extend(speed::run(&options)?);
    }
    if options.python {
        verdicts.extend(python::run(&options)?);
    }
    if options.fair || options.bounded {
        verdicts.extend(hostile::run(&options)?);
    }
    let failed = verdicts.iter().filter(|&&holds| !holds).count();
    ensure!(
        failed == 0,
        "{failed} of {} bounds do not hold",
        verdicts.len()
    );
    Ok(())
}
