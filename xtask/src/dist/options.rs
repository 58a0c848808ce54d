//! The command line of `cargo xtask dist`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is made, and how it is tried.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The program of the dev profile, and nothing compressed.
    pub(crate) quick: bool,
    /// This program, in place of one that is built.
    pub(crate) binary: Option<PathBuf>,
    /// `cargo install` from the packaged crates.
    pub(crate) install: bool,
    /// The `.deb` on a Debian of its own, under systemd.
    pub(crate) clean: bool,
}

impl Options {
    pub(crate) fn of(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--quick" => options.quick = true,
                "--install" => options.install = true,
                "--clean" => options.clean = true,
                "--binary" => {
                    let path = words.next().context("--binary needs a path")?;
                    let path = std::path::absolute(path)?;
                    options.binary = Some(path);
                }
                _ => bail!("dist has no option `{word}`; `cargo xtask help` lists them"),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn an_option_that_there_is_not_is_an_error() {
        assert!(Options::of(&["--quick", "--clean"]).unwrap().clean);
        assert!(Options::of(&["--binary"]).is_err());
        assert!(Options::of(&["--fast"]).is_err());
    }
}
