//! Changes and copies its `environ` and reports what came of it as lines `WHAT:
//! RESULT`. `?long=` is the length of the value that is too long (1 MiB),
//! `?many=` how many variables are set in the end (0).
//! For: S5, S13 (`set` refuses what is no native string), caps of an environ,
//! the constructor, `copy`, `replace-input`, `of-bytes`.

use wasm_gw_guest::{Body, Environ, Input, Result, RunFlags, StartResponse};
use wasm_gw_test_guests::{Query, start_text};

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = Query::of(&environ);
    let mut report = String::new();
    let mut say = |what: &str, result: String| {
        report.push_str(&format!("{what}: {result}\n"));
    };

    let set = |name: &str, value: &str| outcome(environ.set(name, value));
    say("set", set("app.key", "one"));
    say("get", shown(&environ, "app.key"));
    say("set again", set("app.key", "two"));
    say("get again", shown(&environ, "app.key"));
    say("set empty", set("app.empty", ""));
    say("get empty", shown(&environ, "app.empty"));
    say("set latin-1", set("app.latin1", "\u{e9}\u{ff}"));
    say("get latin-1", shown(&environ, "app.latin1"));
    say("set not latin-1", set("app.bad", "\u{20ac}"));
    say("set name not latin-1", set("\u{20ac}", "x"));
    say("set no name", set("", "x"));
    say("set name with =", set("a=b", "x"));
    say("set name with NUL", set("a\0b", "x"));
    let long = "x".repeat(query.number("long", 1 << 20) as usize);
    say("set too long", set("app.long", &long));
    say(
        "get too long",
        outcome(environ.get("app.long").ok_or("none")),
    );
    environ.remove("app.key");
    say("removed", shown(&environ, "app.key"));
    environ.remove("app.never");
    say("case", shown(&environ, "request_method"));

    let copy = environ.copy();
    say("set in copy", outcome(copy.set("app.copy", "1")));
    say("copy", shown(&copy, "app.copy"));
    say("original", shown(&environ, "app.copy"));
    say("copy method", shown(&copy, "REQUEST_METHOD"));
    copy.replace_input(Input::of_bytes(b"other"));
    say("copy input", read(copy.input()));
    environ.replace_input(Input::of_bytes(b"replaced\nbody"));
    let mut first = environ.input();
    say(
        "replaced line",
        format!("{:?}", text(first.next_line(None)?)),
    );
    say("replaced rest", read(environ.input()));

    let vars = [("A".to_owned(), "1".to_owned())];
    let own = Environ::new(&vars, RunFlags::MULTITHREAD);
    say("own", format!("{:?}", own.vars()));
    say("own flags", own.multithread().to_string());
    say("own input", read(own.input()));
    own.errors().write_str("from an own environ\n");

    let mut done = 0;
    for number in 0..query.number("many", 0) {
        if environ.set(&format!("app.many.{number}"), "x").is_err() {
            break;
        }
        done += 1;
    }
    say("many", done.to_string());

    start_text(&start_response)?;
    Ok(report.into())
}

/// Only whether it failed: the reason is the host's own wording.
fn outcome<T, E>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(_) => "refused".to_owned(),
    }
}

fn shown(environ: &Environ, name: &str) -> String {
    format!("{:?}", environ.get(name))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read(mut input: Input) -> String {
    match input.read_rest() {
        Ok(bytes) => format!("{:?}", text(bytes)),
        Err(error) => format!("{error}"),
    }
}

wasm_gw_guest::export!(app);
