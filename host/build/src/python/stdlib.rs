//! The standard library as files, which only the interpreter inside of components has.

use std::fs;
use std::path::PathBuf;

use crate::error::BuildError;
use crate::progress::Progress;
use crate::python::componentize;
use crate::python::interpreter::Tools;
use crate::store::Store;

const COPY: &str = include_str!("stdlib.py");

/// Where it is in a component.
pub(crate) const AT: &str = "python";

/// Which one that is.
pub(crate) fn name(tools: &Tools) -> String {
    let digest = blake3::hash(COPY.as_bytes()).to_hex();
    format!("stdlib-{}-{}", tools.key, &digest[..8])
}

/// Its folder, copied once for each version of the tools.
pub(crate) fn get(
    tools: &Tools,
    store: &Store,
    progress: &dyn Progress,
) -> Result<PathBuf, BuildError> {
    let name = name(tools);
    let (folder, _) = store.get(&name, progress, |folder| {
        let module = folder.join("stdlib_copy.py");
        fs::write(&module, COPY).map_err(|error| BuildError::write(&module, error))?;
        let tool = componentize::tool(tools, folder)?;
        let output = (tool.args(["componentize", "stdlib_copy", "--python-path"]))
            .args([folder])
            .args(["--output".into(), folder.join("none.wasm")])
            .run()?;
        if folder.join("done.txt").exists() {
            return Ok(());
        }
        Err(BuildError::ToolFailed {
            name: "componentize-py",
            doing: "copying the standard library".to_owned(),
            status: output.status,
            said: output.last_words(),
        })
    })?;
    Ok(folder.join("files"))
}
