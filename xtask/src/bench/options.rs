//! The command line of the bench.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::{hostile, python, speed};

/// What is measured, and how.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) speed: bool,
    pub(crate) python: bool,
    pub(crate) fair: bool,
    pub(crate) bounded: bool,
    pub(crate) quick: bool,
    pub(crate) rounds: Option<usize>,
    /// Works, contenders and scenarios by name; all when empty.
    pub(crate) only: Vec<String>,
    /// Builds of wasm-gw, in place of one of this checkout.
    pub(crate) servers: Vec<PathBuf>,
    /// This checkout as `cargo build --release` makes it, and not as it is shipped.
    pub(crate) plain: bool,
    pub(crate) no_wasmtime: bool,
    pub(crate) wasmtime_options: String,
    pub(crate) json: Option<PathBuf>,
    pub(crate) load: Load,
    /// A component of the gateway, to be measured in place of the bench's own.
    pub(crate) component: Option<PathBuf>,
    /// What it and the rivals are asked for.
    pub(crate) path: Option<String>,
    pub(crate) rivals: Vec<Rival>,
}

/// What makes the load of the speed bench.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Load {
    #[default]
    Wrk,
    Oha,
}

/// A server of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    pub(crate) name: String,
    /// For the shell, with `{port}` where its port goes.
    pub(crate) command: String,
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
                "--speed" => options.speed = true,
                "--python" => options.python = true,
                "--fair" => options.fair = true,
                "--bounded" => options.bounded = true,
                "--quick" => options.quick = true,
                "--rounds" => options.rounds = Some(number(word, value()?)?),
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--server" => options.servers.push(value()?.into()),
                "--plain" => options.plain = true,
                "--no-wasmtime" => options.no_wasmtime = true,
                "--wasmtime-options" => options.wasmtime_options = value()?.to_owned(),
                "--json" => options.json = Some(value()?.into()),
                "--load" => options.load = Load::of(value()?)?,
                "--component" => options.component = Some(value()?.into()),
                "--path" => options.path = Some(path(value()?)?),
                "--rival" => options.rivals.push(Rival::of(value()?)?),
                other => bail!("`cargo xtask bench` has no {other}"),
            }
        }
        if !options.python && !options.is_hostile() {
            options.speed = true;
        }
        options.check()?;
        Ok(options)
    }

    /// Whether it is about hostile guests.
    fn is_hostile(&self) -> bool {
        self.fair || self.bounded
    }

    fn check(&self) -> Result<()> {
        let is_custom = self.component.is_some() || !self.rivals.is_empty();
        ensure!(
            self.path.is_none() || is_custom,
            "--path is what a --component or a --rival is asked for, and there is neither"
        );
        ensure!(
            self.speed || !is_custom,
            "--component and --rival are of the speed bench: say --speed, too"
        );
        ensure!(
            self.speed || self.python || self.load == Load::Wrk,
            "--load is of the speed bench and of --python: say one of them, too"
        );
        let benches = [self.speed, self.python, self.is_hostile()];
        ensure!(
            self.json.is_none() || benches.into_iter().filter(|&is| is).count() == 1,
            "--json is one file: measure the speed, --python, and --fair and --bounded apart"
        );
        ensure!(
            !self.plain || self.servers.is_empty(),
            "--plain is about the server of this checkout, and --server brings another"
        );
        let mut known: Vec<String> = Vec::new();
        if self.speed {
            known.extend(speed::names(self));
        }
        if self.python {
            known.extend(python::names(self));
        }
        if self.is_hostile() {
            known.extend(hostile::names().map(str::to_owned));
        }
        for name in &self.only {
            ensure!(
                known.contains(name),
                "--only {name}: there is no such thing here; there are {}",
                known.join(", ")
            );
        }
        Ok(())
    }
}

impl Load {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::Oha => "oha",
        }
    }

    fn of(name: &str) -> Result<Self> {
        match name {
            "wrk" => Ok(Self::Wrk),
            "oha" => Ok(Self::Oha),
            _ => bail!("--load {name}: there are wrk and oha"),
        }
    }
}

impl Rival {
    fn of(text: &str) -> Result<Self> {
        let (name, command) = text
            .split_once('=')
            .with_context(|| format!("--rival {text}: it must be NAME=COMMAND"))?;
        ensure!(
            command.contains("{port}"),
            "--rival {name}: its command must have {{port}} where its port goes"
        );
        Ok(Self {
            name: name.trim().to_owned(),
            command: command.to_owned(),
        })
    }
}

fn number(option: &str, text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.with_context(|| format!("{option} {text}: it must be a number above 0"))
}

fn path(text: &str) -> Result<String> {
    ensure!(
        text.starts_with('/'),
        "--path {text}: it must begin with a /"
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(words: &[&str]) -> String {
        Options::of(words).unwrap_err().to_string()
    }

    #[test]
    fn the_speed_is_measured_unless_another_bench_is_asked_for() {
        let of = |words: &[&str]| {
            let options = Options::of(words).unwrap();
            let Options {
                speed,
                python,
                fair,
                bounded,
                ..
            } = options;
            (speed, python, fair, bounded)
        };
        assert_eq!(of(&[]), (true, false, false, false));
        assert_eq!(of(&["--fair"]), (false, false, true, false));
        assert_eq!(of(&["--speed", "--bounded"]), (true, false, false, true));
        assert_eq!(of(&["--python", "--quick"]), (false, true, false, false));
        assert_eq!(of(&["--speed", "--python"]), (true, true, false, false));
    }

    #[test]
    fn servers_and_rivals_may_be_several() {
        let options = Options::of(&[
            "--server",
            "old",
            "--server",
            "new",
            "--rival",
            "a=x {port}",
            "--rival",
            "b=y -p {port} --env A=1",
        ])
        .unwrap();
        assert_eq!(options.servers.len(), 2);
        assert_eq!(options.rivals[1].name, "b");
        assert_eq!(options.rivals[1].command, "y -p {port} --env A=1");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        assert!(complaint(&["--rounds", "0"]).contains("above 0"));
        assert!(complaint(&["--rounds"]).contains("needs a value"));
        assert!(complaint(&["--rival", "a"]).contains("NAME=COMMAND"));
        assert!(complaint(&["--rival", "a=x"]).contains("{port}"));
        assert!(complaint(&["--path", "/x"]).contains("--component"));
        assert!(complaint(&["--only", "nothing"]).contains("hello"));
        assert!(complaint(&["--fair", "--only", "hello"]).contains("spin"));
        assert!(complaint(&["--load", "ab"]).contains("oha"));
        assert!(complaint(&["--python", "--only", "hello"]).contains("flask-page"));
        assert!(complaint(&["--only", "flask"]).contains("hello"));
        assert!(complaint(&["--python", "--rival", "a=x {port}"]).contains("--speed"));
        assert!(complaint(&["--python", "--component", "a.wasm"]).contains("--speed"));
        assert!(complaint(&["--fair", "--load", "oha"]).contains("--python"));
        assert!(complaint(&["--python", "--speed", "--json", "x"]).contains("one file"));
        Options::of(&["--fair", "--bounded", "--json", "x"]).unwrap();
        Options::of(&["--python", "--load", "oha", "--json", "x"]).unwrap();
        assert!(complaint(&["--what"]).contains("--what"));
    }
}
