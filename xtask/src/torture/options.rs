//! The command line of the torture chamber.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::cases;

/// What is tortured, and how.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    /// Each row against a server without the row's defence, too.
    pub(crate) prove: bool,
    /// Rows by name; all when empty.
    pub(crate) only: Vec<String>,
    /// This build of wasm-gw, in place of one of the checkout.
    pub(crate) server: Option<PathBuf>,
    /// Another server.
    pub(crate) against: Option<String>,
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn of(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word {
                "--quick" => options.quick = true,
                "--prove" => options.prove = true,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--server" => options.server = Some(value()?.into()),
                "--against" => options.against = Some(value()?.to_owned()),
                "--json" => options.json = Some(value()?.into()),
                other => bail!("`cargo xtask torture` has no {other}"),
            }
        }
        ensure!(
            options.against.is_none() || !options.prove && options.server.is_none(),
            "--prove and --server are about wasm-gw, and --against is about another server"
        );
        let known: Vec<&str> = cases::all().map(|case| case.name).collect();
        for name in &options.only {
            ensure!(
                known.contains(&name.as_str()),
                "--only {name}: there is no such row; there are {}",
                known.join(", ")
            );
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|asked| asked == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_said() {
        let complaint = |words: &[&str]| Options::of(words).unwrap_err().to_string();
        assert!(complaint(&["--only", "nothing"]).contains("smuggling"));
        assert!(complaint(&["--against"]).contains("needs a value"));
        assert!(complaint(&["--against", "wasmtime-serve", "--prove"]).contains("another server"));
        assert!(complaint(&["--what"]).contains("--what"));
        let options = Options::of(&["--quick", "--only", "smuggling,idle"]).unwrap();
        assert!(options.quick && options.wants("idle") && !options.wants("resets"));
    }
}
