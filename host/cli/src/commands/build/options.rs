//! What `wasm-gw build` can be told, on the command line or under `[build]` in the manifest.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::values::{self, Pair};

/// The name of what is built, and of what `wasm-gw serve` looks for, if nobody says.
pub(crate) const OUTPUT: &str = "app.wasm";

/// A language that applications can be written in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Language {
    /// Any WSGI application
    Python,
}

/// Settings of a build; each flag has a key of its name.
#[derive(Clone, Debug, Default, clap::Args, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BuildOptions {
    /// The application: package.module:app, or package.module:create_app()
    #[arg(value_name = "MODULE:APP")]
    pub(crate) app: Option<String>,

    /// The component to write [default: app.wasm]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The language it is written in [default: python]
    #[arg(long, value_enum)]
    pub(crate) lang: Option<Language>,

    /// What says which packages it needs: requirements.txt, uv.lock, poetry.lock, pylock.toml or pyproject.toml
    /// [default: the first of these that is there, else the virtual environment]
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,

    /// A file or folder of the project that the application does not need; repeat it
    #[arg(long, value_name = "PATH")]
    pub(crate) exclude: Vec<PathBuf>,

    /// An environment variable for the import, no secret: it becomes part of the component; repeat it. At run time there
    /// are those of `serve` alone
    #[arg(long, value_name = "NAME=VALUE")]
    #[serde(deserialize_with = "values::pairs")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub(crate) env: Vec<Pair>,

    /// Leave the component as the language's tool makes it: an instance takes longer to make, and a request writes to
    /// more of its memory
    #[arg(long)]
    pub(crate) no_optimize: bool,

    /// A path that the application answers at the build, so that it is fast from each first request on; repeat it. What
    /// the application changes by answering stays in the component: docs/guests/python.md
    #[arg(long, value_name = "PATH")]
    pub(crate) warm: Vec<String>,

    /// The Python that runs the tools [default: python3]
    #[arg(long, value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,
}

impl BuildOptions {
    /// These, and where they say nothing, those of a file.
    pub(crate) fn over(self, file: Self) -> Self {
        fn list<T>(ours: Vec<T>, file: Vec<T>) -> Vec<T> {
            if ours.is_empty() { file } else { ours }
        }
        Self {
            app: self.app.or(file.app),
            output: self.output.or(file.output),
            lang: self.lang.or(file.lang),
            requirements: self.requirements.or(file.requirements),
            exclude: list(self.exclude, file.exclude),
            env: list(self.env, file.env),
            no_optimize: self.no_optimize || file.no_optimize,
            warm: list(self.warm, file.warm),
            python: self.python.or(file.python),
        }
    }

    /// Makes paths of the manifest independent of where the program runs; what is left out lies in the project.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        for path in self.output.iter_mut().chain(&mut self.requirements) {
            *path = folder.join(&*path);
        }
        // A bare name is looked for on the PATH.
        if let Some(python) = self
            .python
            .as_mut()
            .filter(|path| path.components().count() > 1)
        {
            *python = folder.join(&*python);
        }
    }
}
