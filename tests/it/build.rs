//! `wasm-gw build`: projects in Python become components, or their author is told why not. What the applications
//! then do is tested in `python`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wasm_gw_tests::command::{Process, output, refused, wasm_gw};

/// A project with these files.
pub(super) fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

pub(super) fn build(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = wasm_gw(["build"].iter().chain(arguments));
    command.current_dir(dir);
    command
}

/// Builds, and returns what was said.
#[track_caller]
pub(super) fn built(dir: &Path, arguments: &[&str]) -> String {
    let output = output(build(dir, arguments));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

const HELLO: &str = "
print('imported')

def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello ' + environ['PATH_INFO'].encode()]
";

#[tokio::test]
async fn a_function_is_built_compiled_and_served() {
    // No run before this one has built the same.
    let dir = project(&[("wasm-gw.toml", "[build]\napp = 'app:app'\n")]);
    let unique = format!("{HELLO}\n# {}\n", dir.path().display());
    fs::write(dir.path().join("app.py"), unique).unwrap();
    let said = built(dir.path(), &[]);
    for part in [
        "no packages",
        "importing app:app",
        "kept in the cache",
        "    imported",
        "wasm-gw serve",
    ] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    let mut serve = wasm_gw(["serve", "--listen=127.0.0.1:0"]);
    serve.current_dir(dir.path());
    let server = Process::serve(serve).await;
    let answer = server.get("/there").await;
    assert_eq!(answer.text(), "hello /there");
    // It was compiled already.
    assert!(
        server.stderr().contains("from the cache"),
        "{}",
        server.stderr()
    );

    let again = built(dir.path(), &[]);
    assert!(again.contains("nothing has changed"), "{again}");
}

#[tokio::test]
async fn the_environment_of_the_import_is_not_that_of_the_run() {
    let text = "
import os
MODE = os.environ['MODE']

def app(environ, start_response):
    start_response('200 OK', [])
    return [f\"{MODE} {os.environ.get('MODE')} {os.environ['KEY']}\".encode()]
";
    let dir = project(&[("app.py", text)]);
    built(dir.path(), &["app:app", "--env", "MODE=\"quoted\" \u{e4}"]);
    let mut serve = wasm_gw(["serve", "--listen=127.0.0.1:0", "--env=KEY=run"]);
    serve.current_dir(dir.path());
    let server = Process::serve(serve).await;
    assert_eq!(server.get("/").await.text(), "\"quoted\" \u{e4} None run");
}

#[test]
fn a_program_is_told_in_json() {
    // What is imported along with it has nothing to say: `platform` knows of modules for other systems.
    let app = format!("import platform, warnings\nwarnings.warn('old')\n{HELLO}");
    let dir = project(&[("app.py", &app)]);
    let output = output(build(
        dir.path(),
        &["app:app", "--json", "--no-compile", "-o", "x.wasm"],
    ));
    assert!(output.status.success() && output.stderr.is_empty());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["component"], "x.wasm");
    let printed = "app.py:2: UserWarning: old\n  warnings.warn('old')\nimported";
    assert_eq!(told["printed"], printed);
    assert_eq!(
        told["bytes"],
        fs::metadata(dir.path().join("x.wasm")).unwrap().len()
    );
}

#[test]
fn an_import_that_fails_shows_the_traceback_of_the_application() {
    let dir = project(&[
        ("app.py", "import settings\n"),
        ("settings.py", "import os\nKEY = os.environ['SECRET_KEY']\n"),
    ]);
    let command = build(dir.path(), &["app:app"]);
    refused(
        command,
        1,
        &[
            "app:app cannot be imported",
            "File \"app.py\", line 1",
            "File \"settings.py\", line 2",
            "KeyError: 'SECRET_KEY'",
        ],
    );
    assert!(!dir.path().join("app.wasm").exists());
}

#[test]
fn what_is_no_application_is_told() {
    let check = |text: &str, target: &str, expected: &[&str]| {
        let dir = project(&[("app.py", text)]);
        refused(build(dir.path(), &[target]), 1, expected);
    };
    check("x = 1\n", "app:app", &["app:app", "app"]);
    check("app = 1\n", "app:app", &["app:app", "cannot be called"]);
    check(
        "",
        "missing:app",
        &["missing is not there", "requirements.txt"],
    );
    check(
        "def create_app(): 1/0\n",
        "app:create_app()",
        &["ZeroDivisionError"],
    );
}

#[test]
fn a_mistake_on_the_command_line_is_told() {
    let dir = project(&[("app.py", HELLO)]);
    let check = |arguments: &[&str], expected: &[&str]| {
        refused(build(dir.path(), arguments), 2, expected);
    };
    check(
        &[],
        &["nothing to build", "wasm-gw build app:app", "[build]"],
    );
    check(&["app.py"], &["did you mean app:app?"]);
    check(&["app:app", "--lang", "cobol"], &["cobol", "python"]);
    refused(
        build(dir.path(), &["app:app", "--python", "no-such-python"]),
        1,
        &["cannot run Python (no-such-python)"],
    );
    refused(
        build(dir.path(), &["app:app", "--requirements", "none.txt"]),
        1,
        &["cannot read none.txt"],
    );
}

#[test]
fn native_packages_are_named() {
    let dir = project(&[("app.py", HELLO), ("requirements.txt", "cffi==2.0.0\n")]);
    let expected = [
        "cffi==2.0.0 of requirements.txt",
        "native code",
        "pure Python",
    ];
    refused(build(dir.path(), &["app:app"]), 1, &expected);
}

#[tokio::test]
async fn a_copied_program_builds_with_packages_and_without_a_checkout() {
    let dir = project(&[
        (
            "app.py",
            "import bottle\napp = bottle.default_app()\n\n@app.get('/')\ndef index():\n    return bottle.__version__\n",
        ),
        (
            "requirements.txt",
            "bottle==0.13.4 --hash=sha256:045684fbd2764eac9cdeb824861d1551d113e8b683d8d26e296898d3dd99a12e\n",
        ),
    ]);
    let program = dir.path().join("elsewhere/wasm-gw");
    fs::create_dir(program.parent().unwrap()).unwrap();
    fs::copy(wasm_gw::<&str>([]).get_program(), &program).unwrap();
    let mut command = Command::new(&program);
    let whole = build(dir.path(), &["app:app", "--exclude", "elsewhere"]);
    command.args(whole.get_args()).current_dir(dir.path());
    for (name, value) in whole.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = output(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("packages   of requirements.txt: 1"),
        "{said}"
    );
    let mut serve = wasm_gw(["serve", "--listen=127.0.0.1:0"]);
    serve.current_dir(dir.path());
    let server = Process::serve(serve).await;
    assert_eq!(server.get("/").await.text(), "0.13.4");

    // Tools and packages are there: another application needs no network.
    let app = dir.path().join("app.py");
    fs::write(&app, fs::read_to_string(&app).unwrap() + "# changed\n").unwrap();
    let mut offline = build(
        dir.path(),
        &["app:app", "--no-compile", "--exclude=elsewhere"],
    );
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        offline.env(name, "http://127.0.0.1:1");
    }
    let said = wasm_gw_tests::command::output(offline);
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn a_digest_that_is_wrong_is_refused() {
    let wrong = format!("bottle==0.13.4 --hash=sha256:{}\n", "0".repeat(64));
    let dir = project(&[("app.py", HELLO), ("requirements.txt", &wrong)]);
    refused(build(dir.path(), &["app:app"]), 1, &["bottle", "ash"]);
}
