//! How long `wasm-gw build` takes for the Flask application: with nothing kept, and when the application alone has
//! changed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::apps::{self, Builder};

const APP: &str = "flask";
/// The file that is changed.
const SOURCE: &str = "app.py";

/// In seconds of the clock on the wall.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Builds {
    /// Its tools and its packages are fetched, too.
    pub(crate) nothing_kept: f64,
    pub(crate) app_changed: f64,
}

/// Once each, since what the network takes is part of the first.
pub(super) fn run(program: &Path) -> Result<Builds> {
    let builder = Builder::new(program);
    let folder = apps::place()?.join("build");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let app = folder.join(APP);
    apps::copy(APP, &app)?;
    let once = |what: &str| {
        eprintln!("\n== a build of {APP}: {what}");
        let command = builder.command(&app, &folder.join("cache"))?;
        apps::timed(command).context(what.to_owned())
    };
    let nothing_kept = once("nothing is kept from before")?;
    change(&app.join(SOURCE))?;
    let app_changed = once("the application alone has changed")?;
    // Hundreds of megabytes that nobody uses again.
    fs::remove_dir_all(&folder)?;
    Ok(Builds {
        nothing_kept,
        app_changed,
    })
}

fn change(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    fs::write(
        file,
        text + "\n\n@app.get(\"/more\")\ndef more():\n    return HELLO\n",
    )?;
    Ok(())
}
