//! The applications: copies of what is in benches/python, so that nothing is written there, and a component of
//! each by `wasm-gw build`, as anyone would make it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::options::Options;
use crate::bench::speed::contender::Contender;
use crate::kit::process::work_folder;
use crate::shell::{cargo, root, run, step, target_folder};

/// An application, in a folder of its name.
pub(super) struct App {
    pub(super) name: &'static str,
    /// How servers name it. Its wasm-gw.toml says the same.
    pub(super) target: &'static str,
}

pub(super) const APPS: [App; 3] = [
    App {
        name: "bare",
        target: "app:app",
    },
    App {
        name: "flask",
        target: "app:app",
    },
    App {
        name: "django",
        target: "mysite.wsgi:application",
    },
];

/// Where they are, from the root of the checkout.
pub(super) const SOURCE: &str = "benches/python";

/// Where all of this is kept, relative to the folder that servers run in.
pub(super) const PLACE: &str = "python-apps";

pub(super) fn place() -> Result<PathBuf> {
    Ok(work_folder()?.join(PLACE))
}

/// The component of an application, relative to the folder that servers run in.
pub(super) fn component(app: &str) -> PathBuf {
    Path::new(PLACE).join(app).with_extension("wasm")
}

/// The cache of what is compiled, relative to the same. A build fills it, and all servers use it.
pub(super) fn compiled() -> PathBuf {
    Path::new(PLACE).join("cache/wasm-gw")
}

/// How an application is named for servers.
pub(super) fn target(name: &str) -> &'static str {
    let app = APPS.iter().find(|app| app.name == name);
    app.map_or("", |app| app.target)
}

impl App {
    /// Makes its copy anew.
    pub(super) fn copy(&self) -> Result<()> {
        copy(self.name, &place()?.join("apps").join(self.name))
    }

    /// Makes its component of the copy. What has not changed since the last time is not made again.
    pub(super) fn build(&self, builder: &Builder) -> Result<()> {
        let place = place()?;
        let to = work_folder()?.join(component(self.name));
        // What is left of the last time is not measured in its place.
        if to.exists() {
            fs::remove_file(&to)?;
        }
        let mut command =
            builder.command(&place.join("apps").join(self.name), &place.join("cache"))?;
        step(
            &format!("the component of {}", self.name),
            command.arg("--output").arg(&to),
        )
    }
}

/// A fresh copy of an application.
pub(super) fn copy(name: &str, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    copy_folder(&root().join(SOURCE).join(name), to)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_name() == "__pycache__" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// A `wasm-gw` that builds.
pub(super) struct Builder {
    program: PathBuf,
}

impl Builder {
    pub(super) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
        }
    }

    /// `wasm-gw build` in a folder, where a wasm-gw.toml says what. Tools, packages and what is compiled are kept in
    /// the cache and not in the user's.
    pub(super) fn command(&self, folder: &Path, cache: &Path) -> Result<Command> {
        fs::create_dir_all(cache)?;
        let mut command = Command::new(&self.program);
        command
            .arg("build")
            .current_dir(folder)
            // An environment that happens to be active is none of the application's.
            .env_remove("VIRTUAL_ENV")
            .env("XDG_CACHE_HOME", cache);
        Ok(command)
    }
}

/// The build of this checkout: the one that is measured, unless that is another one. For then what is served must not
/// depend on who serves it.
pub(super) fn builder(options: &Options, measured: &Contender) -> Result<Builder> {
    if options.servers.is_empty() {
        return Ok(Builder::new(&measured.got.program));
    }
    step(
        "the build of this checkout, for the components",
        &mut cargo(".", &["build", "--locked", "--package", "wasm-gw"]),
    )?;
    Ok(Builder::new(&target_folder().join("debug/wasm-gw")))
}

/// Runs a build and says how long it took.
pub(super) fn timed(mut command: Command) -> Result<f64> {
    let begin = std::time::Instant::now();
    run(&mut command)?;
    Ok(begin.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_application_is_there_as_servers_and_the_build_name_it() {
        for app in APPS {
            let folder = root().join(SOURCE).join(app.name);
            let settings = fs::read_to_string(folder.join("wasm-gw.toml")).unwrap();
            let settings: toml::Table = settings.parse().unwrap();
            assert_eq!(settings["build"]["app"].as_str(), Some(app.target));
            assert!(folder.join("requirements.txt").exists());
            assert_eq!(target(app.name), app.target);
        }
    }

    #[test]
    fn what_is_installed_is_locked_by_digests() {
        for folder in ["bare", "flask", "django", "servers"] {
            let file = root().join(SOURCE).join(folder).join("requirements.txt");
            let text = fs::read_to_string(file).unwrap().replace("\\\n", " ");
            let packages = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
            for package in packages {
                let is_locked = package.contains("==") && package.contains("--hash=sha256:");
                assert!(is_locked, "{folder}: {package}");
            }
        }
    }
}
