//! The program that is packaged, and what it says of itself.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Release;
use super::options::Options;
use crate::bench::guided;
use crate::shell::{cargo, output, run, step, target_folder};

/// A program without symbols, which runs here.
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    /// File names, and pages for `man`.
    pub(crate) manuals: Vec<(String, String)>,
    pub(crate) completions: Completions,
}

/// What shells complete by.
pub(crate) struct Completions {
    pub(crate) bash: String,
    pub(crate) fish: String,
    pub(crate) zsh: String,
}

impl Binary {
    /// Builds it, unless there is one.
    pub(crate) fn of(release: &Release, options: &Options) -> Result<Self> {
        let built = match &options.binary {
            Some(path) => path.clone(),
            None => build(release.quick)?,
        };
        let path = release.fresh("program")?.join("wasm-gw");
        // What is known of lines for backtraces is five times as large as the program.
        run(Command::new("strip").arg("-o").arg(&path).arg(&built))
            .context("strip is needed, which comes with a C compiler (Debian: binutils)")?;
        let say = |arguments: &[&str]| output(Command::new(&path).args(arguments));
        let version = say(&["--version"])?;
        let expected = format!("wasm-gw {} (wasmtime ", release.version);
        ensure!(
            version.starts_with(&expected),
            "{} is of another version: it says {version:?}",
            built.display()
        );
        let manual = say(&["man"])?;
        let mut manuals = Vec::new();
        for command in commands(&manual) {
            let page = say(&["man", &command])?;
            manuals.push((format!("wasm-gw-{command}.1"), page));
        }
        ensure!(!manuals.is_empty(), "the manual names no command");
        manuals.push(("wasm-gw.1".to_owned(), manual));
        let completions = Completions {
            bash: say(&["completions", "bash"])?,
            fish: say(&["completions", "fish"])?,
            zsh: say(&["completions", "zsh"])?,
        };
        Ok(Self {
            path,
            manuals,
            completions,
        })
    }
}

fn build(quick: bool) -> Result<PathBuf> {
    if !quick {
        return guided::server();
    }
    step(
        "the program (the first time takes some minutes: wasmtime is large)",
        &mut cargo(".", &["build", "--locked", "--package", "wasm-gw"]),
    )?;
    Ok(target_folder().join("debug/wasm-gw"))
}

/// The commands that a manual page lists, but for `help`, which has none of its own.
fn commands(manual: &str) -> Vec<String> {
    let name = |line: &str| {
        let line = line.replace('\\', "");
        let name = line.strip_prefix("wasm-gw-")?.strip_suffix("(1)")?;
        Some(name.to_owned())
    };
    let all = manual.lines().filter_map(name);
    all.filter(|name| name != "help").collect()
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn the_commands_of_a_manual_are_found() {
        let manual =
            ".SH SUBCOMMANDS\n.TP\nwasm\\-gw\\-serve(1)\nServe one\n.TP\nwasm\\-gw\\-help(1)\n";
        assert_eq!(commands(manual), ["serve"]);
    }
}
