//! Which server is tortured, and the words that start it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::kit::programs::{self, Family, Program};
use crate::suite::{BENCH_GUESTS, component};

/// A server that can be started again and again.
pub(crate) enum Target {
    /// wasm-gw, or `wasmtime serve`, with the guests of the benches.
    Guests(Program),
    /// Whatever answers `/`, by a command for the shell with `{port}` in it.
    Command(String),
}

impl Target {
    /// The one that `--against` names.
    pub(crate) fn against(named: &str) -> Result<Self> {
        if named == "wasmtime-serve" {
            return Ok(Self::Guests(programs::wasmtime("")?));
        }
        ensure!(
            named.contains("{port}"),
            "--against {named}: it must be wasmtime-serve, or a command with {{port}} where its port goes"
        );
        Ok(Self::Command(named.to_owned()))
    }

    pub(crate) fn is_gateway(&self) -> bool {
        matches!(self, Self::Guests(program) if program.family == Family::Gateway)
    }

    pub(crate) fn has_guests(&self) -> bool {
        matches!(self, Self::Guests(_))
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Guests(program) => program.version.clone(),
            Self::Command(command) => command.clone(),
        }
    }

    /// The path of the hostile guest, which has a place of its own where there are several.
    pub(crate) fn hostile(&self, path: &str) -> String {
        if self.is_gateway() {
            format!("/hostile{path}")
        } else {
            path.to_owned()
        }
    }

    /// The program and its arguments.
    pub(crate) fn words(&self, port: u16, asked: &Asked) -> Result<Vec<PathBuf>> {
        let mut words: Vec<PathBuf> = Vec::new();
        let address = format!("127.0.0.1:{port}");
        match self {
            Self::Command(command) => {
                if !asked.options.is_empty() {
                    bail!("a command has no options that are known here");
                }
                let command = command.replace("{port}", &port.to_string());
                words.extend(["sh", "-c", &format!("exec {command}")].map(PathBuf::from));
            }
            Self::Guests(program) => {
                words.extend([program.binary.clone(), "serve".into()]);
                words.extend(program.options.iter().map(PathBuf::from));
                words.extend(asked.options.iter().map(PathBuf::from));
                match program.family {
                    Family::Gateway => {
                        words.extend(["--listen".into(), address.into()]);
                        words.push(app("/", &component("examples", "hello")));
                        if !asked.alone {
                            words.push(app("/hostile", &component(BENCH_GUESTS, "hostile")));
                        }
                        words.extend(["--cache-dir".into(), asked.cache.clone()]);
                        let status = format!("127.0.0.1:{}", asked.status_port);
                        words.extend(["--status-listen".into(), status.into()]);
                    }
                    Family::Wasmtime => {
                        words.extend(["--addr".into(), address.into()]);
                        words.push(component(BENCH_GUESTS, "proxy"));
                    }
                }
            }
        }
        Ok(words)
    }
}

/// What a start asks for beside that.
pub(crate) struct Asked {
    pub(crate) options: Vec<String>,
    pub(crate) cache: PathBuf,
    pub(crate) status_port: u16,
    /// Without the hostile guest.
    pub(crate) alone: bool,
}

fn app(prefix: &str, file: &Path) -> PathBuf {
    format!("--app={prefix}={}", file.display()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_where_its_port_goes() {
        assert!(Target::against("python3 -m http.server").is_err());
        let target = Target::against("python3 -m http.server {port}").unwrap();
        let asked = Asked {
            options: Vec::new(),
            cache: PathBuf::new(),
            status_port: 0,
            alone: false,
        };
        let words = target.words(81, &asked).unwrap();
        assert_eq!(words[2], PathBuf::from("exec python3 -m http.server 81"));
        assert!(!target.has_guests());
    }
}
