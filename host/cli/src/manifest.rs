//! `wasm-gw.toml`: the options of a project, so that `wasm-gw serve` alone runs it.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::commands::build::BuildOptions;
use crate::options::ServeOptions;

/// The file that `serve` looks for in the current folder.
pub(crate) const MANIFEST: &str = "wasm-gw.toml";

/// The settings of a wasm-gw project.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "wasm-gw.toml")]
pub(crate) struct Manifest {
    /// Settings of `wasm-gw serve`; each flag has a key of its name.
    pub(crate) serve: ServeOptions,

    /// Settings of `wasm-gw build`; each flag has a key of its name.
    pub(crate) build: BuildOptions,
}

/// What is wrong with the file, and where.
#[derive(Debug)]
pub(crate) struct ManifestError {
    path: PathBuf,
    message: String,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.path.display(), self.message)
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Reads the file at `path`. Paths in it are relative to the file.
    pub(crate) fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|error| ManifestError {
            path: path.to_owned(),
            message: format!(": {error}"),
        })?;
        let mut manifest = Self::parse(&text).map_err(|message| ManifestError {
            path: path.to_owned(),
            message,
        })?;
        if let Some(folder) = path.parent() {
            manifest.serve.resolve(folder);
            manifest.build.resolve(folder);
        }
        Ok(manifest)
    }

    /// The message begins with the line, as in `:3: unknown key ...`.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let number = before.matches('\n').count();
            let line = text.lines().nth(number).unwrap_or_default();
            format!(":{}: {}", number + 1, explain(error.message(), line))
        })
    }
}

impl ServeOptions {
    fn resolve(&mut self, folder: &Path) {
        let files = self.app.iter_mut().chain(&mut self.files);
        let files = files.map(|app| &mut app.file);
        let dirs = self.dir.iter_mut().map(|dir| &mut dir.host);
        let one = (self.component.iter_mut())
            .chain(&mut self.cache_dir)
            .chain(&mut self.access_log);
        for path in files.chain(dirs).chain(one) {
            *path = folder.join(&*path);
        }
        for address in self.listen.iter_mut().chain(&mut self.status_listen) {
            if let Some(path) = address
                .strip_prefix("unix:")
                .filter(|path| !path.is_empty())
            {
                *address = format!("unix:{}", folder.join(path).display());
            }
        }
    }
}

/// Says what an unknown key was probably meant to be.
fn explain(message: &str, line: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(key) = quoted
        .next()
        .filter(|_| message.starts_with("unknown field"))
    else {
        let message = message.replace(
            "sequence, expected a map",
            "a list, expected a table: NAME = \"value\" under a heading of its own",
        );
        return match line.split_once('=') {
            Some((key, _)) => format!("`{}`: {message}", key.trim()),
            None => message,
        };
    };
    let known: Vec<&str> = quoted.collect();
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)))
        .filter(|name| strsim::jaro_winkler(key, name) > 0.7);
    match nearest {
        Some(nearest) => format!("unknown key `{key}`; did you mean `{nearest}`?"),
        None if known == ["serve", "build"] => format!(
            "unknown key `{key}`; put the options of `wasm-gw serve` under [serve], and those of `wasm-gw build` under \
             [build]"
        ),
        None => format!(
            "unknown key `{key}`; the keys here are {}",
            known.join(", ")
        ),
    }
}

/// The JSON schema of the file.
pub(crate) fn schema() -> serde_json::Value {
    schemars::schema_for!(Manifest).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Manifest::parse(text).unwrap_err(), expected);
        };
        check(
            "[serve]\ntimout = \"3s\"\n",
            ":2: unknown key `timout`; did you mean `timeout`?",
        );
        check(
            "[server]\n",
            ":1: unknown key `server`; did you mean `serve`?",
        );
        let error = Manifest::parse("[serve]\n\nqqq = 1\n").unwrap_err();
        assert!(
            error.starts_with(":3: unknown key `qqq`; the keys here are component, mount"),
            "{error}"
        );
        check(
            "[serve]\nlisten = 8080\n",
            ":2: `listen`: expected a text, or a list of texts",
        );
        check(
            "component = \"a.wasm\"\n",
            ":1: unknown key `component`; put the options of `wasm-gw serve` under [serve], and those of \
             `wasm-gw build` under [build]",
        );
        let error = Manifest::parse("[serve]\nenv = [\"A=b\"]\n").unwrap_err();
        assert!(
            error.starts_with(":2: `env`: ") && error.contains("a list, expected a table"),
            "{error}"
        );
        let error = Manifest::parse("[serve]\ntimeout = \"soon\"\n").unwrap_err();
        assert!(
            error.starts_with(":2: `timeout`: `soon` is no length of time"),
            "{error}"
        );
    }

    #[test]
    fn each_option_has_a_key() {
        let text = r#"
            [serve]
            component = "a.wasm"
            listen = "127.0.0.1:0"
            status-listen = "unix:status.sock"
            dir = ["data::/data:ro"]
            [serve.env]
            A = "1"
            [serve.app]
            "/b" = "b.wasm"
        "#;
        let mut options = Manifest::parse(text).unwrap().serve;
        options.resolve(Path::new("/project"));
        assert_eq!(options.listen, ["127.0.0.1:0"]);
        let status = "unix:/project/status.sock";
        assert_eq!(options.status_listen.as_deref(), Some(status));
        assert_eq!(options.app[0].mount, "/b");
        assert_eq!(options.env[0].0, "A");

        let properties = &schema()["$defs"]["ServeOptions"]["properties"];
        let keys: Vec<&str> = properties
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let command = <crate::args::Args as clap::CommandFactory>::command();
        let serve = command.find_subcommand("serve").unwrap();
        for argument in serve.get_arguments() {
            let key = argument.get_id().as_str().replace('_', "-");
            let of_the_command_line = ["config", "help", "version"].contains(&key.as_str());
            assert!(
                of_the_command_line || keys.contains(&key.as_str()),
                "{key} has no key"
            );
        }
    }

    #[test]
    fn the_committed_schema_is_this_one() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/wasm-gw.schema.json"
        );
        let committed = std::fs::read_to_string(path).unwrap();
        let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        assert!(
            committed == current,
            "write the output of `wasm-gw schema` to docs/wasm-gw.schema.json"
        );
    }
}
