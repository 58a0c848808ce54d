//! `wasm-gw optimize`: a file becomes a better one, or stays as it is. That components do the same afterwards is
//! tested where they are tested: the columns `rust-optimized` and `python` of the conformance suite.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use wasm_gw_tests::command::{Process, output, refused, wasm_gw};
use wasm_gw_tests::guests::guest_path;

/// A folder with this component as `app.wasm`.
fn folder(component: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.wasm"), component).unwrap();
    folder
}

fn hello() -> Vec<u8> {
    fs::read(guest_path("hello")).unwrap()
}

/// Runs it in a folder, and returns what was said.
#[track_caller]
fn optimize(folder: &Path, arguments: &[&str]) -> (String, String) {
    let mut command = wasm_gw(["optimize", "app.wasm"]);
    command.args(arguments).current_dir(folder);
    let output = output(command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{stderr}");
    (stdout, stderr)
}

#[tokio::test]
async fn a_component_is_optimized_in_its_place_and_served() {
    let folder = folder(&hello());
    let (stdout, stderr) = optimize(folder.path(), &[]);
    assert_eq!(stdout, "");
    assert!(stderr.contains("written    app.wasm"), "{stderr}");
    assert!(fs::read(folder.path().join("app.wasm")).unwrap() != hello());
    let mut serve = wasm_gw(["serve", "--listen=127.0.0.1:0"]);
    serve.current_dir(folder.path());
    let server = Process::serve(serve).await;
    assert_eq!(server.get("/").await.text(), "hello, world\n");
}

#[test]
fn another_file_is_written_where_one_is_named() {
    let folder = folder(&hello());
    let (stdout, _) = optimize(folder.path(), &["-o", "fast.wasm", "--json"]);
    let said: Value = serde_json::from_str(&stdout).unwrap();
    let written = fs::read(folder.path().join("fast.wasm")).unwrap();
    assert_eq!(said["optimized"], true);
    assert_eq!(said["component"], "fast.wasm");
    assert_eq!(said["bytes"], written.len());
    assert_eq!(said["bytes_before"], hello().len());
    assert_eq!(fs::read(folder.path().join("app.wasm")).unwrap(), hello());
}

#[test]
fn a_component_of_a_shape_that_is_not_known_is_left_as_it_is() {
    let empty = b"\0asm\x0d\0\x01\0";
    let folder = folder(empty);
    let (_, stderr) = optimize(folder.path(), &["-o", "same.wasm"]);
    assert!(
        stderr.contains("left as it is: it has no core module"),
        "{stderr}"
    );
    assert_eq!(fs::read(folder.path().join("same.wasm")).unwrap(), empty);
    let (_, stderr) = optimize(folder.path(), &[]);
    assert!(!stderr.contains("written"), "{stderr}");
}

#[test]
fn what_is_no_component_is_refused_and_not_touched() {
    let damaged = &hello()[..1000];
    let folder = folder(damaged);
    let run = |arguments: &[&str]| {
        let mut command = wasm_gw(["optimize"]);
        command.args(arguments).current_dir(folder.path());
        command
    };
    refused(
        run(&["app.wasm"]),
        2,
        &["app.wasm", "not a valid component"],
    );
    refused(run(&["app.wasm", "-o", "other.wasm"]), 2, &["app.wasm"]);
    assert_eq!(fs::read(folder.path().join("app.wasm")).unwrap(), damaged);
    assert!(!folder.path().join("other.wasm").exists());
    refused(run(&["nothing.wasm"]), 1, &["nothing.wasm", "No such file"]);
}
