//! `cargo xtask bench`: how fast the server is beside its peers, and what hostile guests can do to
//! it, measured in one run, since only figures of one machine and one hour can be compared.
//! benches/README.md says what is measured. This file puts the parts together:
//!
//! | file | what |
//! |---|---|
//! | `options.rs` | the command line |
//! | `speed/` | wasm-gw beside its peers |
//! | `hostile/` | `--fair` and `--bounded` |
//! | `measured.rs` | which build of the server that is |
//! | `programs.rs` | the programs that both need, found or built |
//! | `process.rs` | a process and its memory |
//! | `http.rs` | one request |
//! | `wrk.rs`, `wrk.lua` | many of them |
//! | `run.rs` | what these came to |
//! | `figures.rs` | medians, shares, bounds that hold or do not |
//! | `machine.rs`, `table.rs` | what a report says beside the figures, and how it looks |

mod figures;
mod hostile;
pub(crate) mod http;
pub(crate) mod machine;
mod measured;
mod options;
pub(crate) mod process;
mod programs;
mod run;
mod speed;
pub(crate) mod table;
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
