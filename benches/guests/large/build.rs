//! Makes what would be too large to commit: the data of the snapshot, and the list of its functions.

use std::path::PathBuf;
use std::{env, fs, io};

#[path = "src/word.rs"]
mod word;

/// As many functions as make about 5 MB of code.
const FUNCTIONS: usize = 2000;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/word.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let data: Vec<u8> = (0..word::WORDS).flat_map(word::bytes).collect();
    fs::write(folder.join("data.bin"), data)?;
    let list: String = (0..FUNCTIONS)
        .map(|number| format!("    function::<{number}>,\n"))
        .collect();
    fs::write(folder.join("functions.rs"), format!("[\n{list}]\n"))
}
