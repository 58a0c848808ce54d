//! `wasm-gw check`: each rule of the lint is found in an application that breaks it, and nothing in one that
//! does not; what cannot be checked is told apart from what was found.

use std::fs;
use std::path::Path;

use serde_json::Value;
use wasm_gw_protocol::lint::RULES;
use wasm_gw_tests::command::{output, wasm_gw};
use wasm_gw_tests::guests::guest_path;

/// Checks a component in this folder: the exit code, stdout and stderr.
fn check(folder: &Path, component: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = wasm_gw(["check"]);
    command.arg(component).args(arguments).current_dir(folder);
    let output = output(command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    (output.status.code().unwrap(), stdout, stderr)
}

fn here() -> &'static Path {
    Path::new(".")
}

fn as_json(folder: &Path, guest: &str, arguments: &[&str]) -> (i32, Value) {
    let arguments = [arguments, &["--json"]].concat();
    let (code, stdout, stderr) = check(folder, &guest_path(guest), &arguments);
    let json = serde_json::from_str(&stdout);
    (code, json.unwrap_or_else(|_| panic!("{stdout}{stderr}")))
}

/// A folder with this file of requests.
fn requests(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("requests.toml"), text).unwrap();
    folder
}

const ONLY: [&str; 3] = ["--requests", "requests.toml", "--only"];

#[test]
fn nothing_is_found_in_what_keeps_the_rules() {
    let (code, stdout, stderr) = check(here(), &guest_path("hello"), &[]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    for part in [
        "exports  wasm-gw:gateway/app@0.1.0",
        "--env NAME=VALUE",
        "runs     yes",
        "ok   GET /: 200, 13 bytes",
        "ok   HEAD /: 200, 0 bytes",
        "17 requests, nothing found",
    ] {
        assert!(stdout.contains(part), "no `{part}` in: {stdout}");
    }
    assert_eq!(stderr, "");
}

#[test]
fn each_rule_is_found_where_it_is_broken() {
    let all: String = RULES
        .iter()
        .map(|rule| format!("[[request]]\ntarget = '/{}'\n", rule.name))
        .collect();
    let folder = requests(&all);
    let (code, report) = as_json(folder.path(), "breaks_rules", &ONLY);
    assert_eq!(code, 1);
    let answers = report["requests"].as_array().unwrap();
    assert_eq!(answers.len(), RULES.len());
    for (rule, answer) in RULES.iter().zip(answers) {
        let findings = answer["findings"].as_array().unwrap();
        let found: Vec<&str> = findings
            .iter()
            .map(|finding| finding["rule"].as_str().unwrap())
            .collect();
        assert_eq!(found, [rule.name], "{answer}");
        assert_eq!(findings[0]["id"], rule.id);
        assert!(!findings[0]["seen"].as_str().unwrap().is_empty());
        assert!(!findings[0]["mend"].as_str().unwrap().is_empty());
    }
}

#[test]
fn what_was_expected_and_is_not_so_is_a_finding() {
    let folder = requests(
        "[[request]]\ntarget = '/'\n[request.expect]\nstatus = 200\nbody = \"hello, world\\n\"\n\
         headers = { content-type = 'text/plain' }\n\
         [[request]]\nname = 'wrong'\ntarget = '/'\n[request.expect]\nstatus = 404\n\
         headers = { x-none = '1' }\nbody-contains = 'bye'\n",
    );
    let (code, report) = as_json(folder.path(), "hello", &ONLY);
    assert_eq!((code, &report["findings"]), (1, &3.into()), "{report}");
    assert_eq!(
        report["requests"][0]["findings"].as_array().unwrap().len(),
        0
    );
    let (code, stdout, _) = check(folder.path(), &guest_path("hello"), &ONLY);
    assert_eq!(code, 1);
    for part in [
        "FAIL wrong: 200, 13 bytes",
        "error unexpected (-): status 200, not 404",
        "x-none: [], not \"1\"",
        "\"bye\" is not in the body: \"hello, world\\n\"",
        "2 requests, 3 findings",
    ] {
        assert!(stdout.contains(part), "no `{part}` in: {stdout}");
    }
}

#[test]
fn the_log_of_a_request_that_fails_is_shown() {
    let folder = requests("[[request]]\ntarget = '/'\n");
    let (code, stdout, _) = check(folder.path(), &guest_path("panics"), &ONLY);
    assert_eq!(code, 1);
    assert!(
        stdout.contains("error ended (A19): the guest trapped"),
        "{stdout}"
    );
    assert!(stdout.contains("     log: thread"), "{stdout}");
}

#[test]
fn what_cannot_run_here_is_told_with_its_interfaces() {
    for (guest, expected) in [
        ("unknown_import", "not offered by this host"),
        ("no_export", "runs     no: this component does not export"),
        ("unplugged_middleware", "nothing is plugged in there"),
    ] {
        let (code, stdout, stderr) = check(here(), &guest_path(guest), &[]);
        assert_eq!(code, 2, "{guest}: {stdout}{stderr}");
        assert!(
            stdout.contains(expected),
            "{guest}: no `{expected}` in: {stdout}"
        );
        assert!(!stdout.contains("requests,"), "{guest}: {stdout}");
    }
    let folder = requests("not a component");
    let (code, stdout, _) = check(folder.path(), Path::new("requests.toml"), &["--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["runs"]), (2, &false.into()));
    assert!(
        report["why_not"]
            .as_str()
            .unwrap()
            .contains("not a WebAssembly file")
    );
}

#[test]
fn what_is_wrong_in_what_was_asked_for_is_named() {
    let folder = requests("[[request]]\ntarget = 'here'\n");
    for (arguments, expected) in [
        (
            &["--requests", "requests.toml"][..],
            "in requests.toml: request 1: the target `here`",
        ),
        (&["--requests", "none.toml"], "cannot read none.toml"),
        (&["--only"], "--requests"),
    ] {
        let (code, stdout, stderr) = check(folder.path(), &guest_path("hello"), arguments);
        assert_eq!(code, 2, "{stdout}{stderr}");
        assert!(stderr.contains(expected), "no `{expected}` in: {stderr}");
        assert_eq!(stdout, "");
    }
    let (code, _, stderr) = check(folder.path(), Path::new("none.wasm"), &[]);
    assert!(
        code == 2 && stderr.contains("cannot read none.wasm"),
        "{code}: {stderr}"
    );
}

#[test]
fn grants_and_limits_are_those_of_the_command_line() {
    let folder = requests("[[request]]\ntarget = '/'\n");
    let arguments = [&ONLY[..], &["--timeout", "200ms"]].concat();
    let (code, stdout, _) = check(folder.path(), &guest_path("never_returns"), &arguments);
    assert_eq!(code, 1);
    assert!(stdout.contains("the guest was stopped"), "{stdout}");
}
