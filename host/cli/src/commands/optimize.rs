//! `wasm-gw optimize`: a component whose instances are made faster, of one that any tool has made.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;
use wasm_gw_build::put;
use wasm_gw_optimize::Unknown;

use crate::printer;
use crate::usage::Usage;

/// Make a component whose instances are made faster, and that does the same
///
/// Its core modules become one, so that an instance has nothing to link; what the component imports and exports stays
/// as it is. What debuggers need is left out, but for the names of functions. `wasm-gw build` does this by itself. A
/// component of a shape that is not known is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wasm-gw optimize app.wasm
  wasm-gw optimize app.wasm -o fast.wasm && wasm-gw serve fast.wasm")]
pub(crate) struct Args {
    /// The component
    #[arg(value_name = "APP.WASM")]
    component: PathBuf,

    /// The component to write [default: the same file]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print one JSON document on stdout, and nothing else
    #[arg(long)]
    json: bool,
}

/// Optimizes, and says what came of it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let path = &args.component;
    let before = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (after, why_not) = match wasm_gw_optimize::optimize(&before) {
        Ok(after) => (Some(after), None),
        Err(error @ Unknown::Invalid(_)) => {
            return Err(Usage::of(format!("cannot optimize {}: {error}", path.display())).into());
        }
        Err(why) => (None, Some(why.to_string())),
    };
    let output = args.output.as_ref().unwrap_or(path);
    let bytes = after.as_ref().unwrap_or(&before);
    let is_written = after.is_some() || output != path;
    if is_written {
        put(bytes, output).with_context(|| format!("cannot write {}", output.display()))?;
    }
    if args.json {
        return printer::document(&json!({
            "component": output.display().to_string(),
            "bytes": bytes.len(),
            "bytes_before": before.len(),
            "optimized": why_not.is_none(),
            "why_not": why_not,
        }));
    }
    let kib = |bytes: &[u8]| bytes.len().div_ceil(1 << 10);
    let mut lines = vec![format!(
        "  {:<11}{}",
        "optimize",
        match why_not {
            None => format!("{} KiB, {} before", kib(bytes), kib(&before)),
            Some(why) => format!("left as it is: {why}"),
        }
    )];
    if is_written {
        lines.push(format!("  {:<11}{}", "written", output.display()));
    }
    printer::lines(&lines);
    Ok(())
}
