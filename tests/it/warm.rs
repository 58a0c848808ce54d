//! `wasm-gw build --warm`: what an application answers at the build makes it fast, and changes nothing that a client
//! could see; or its author is told.

use std::collections::HashSet;
use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use wasm_gw_tests::command::refused;
use wasm_gw_tests::{Response, TestApp, log};

use crate::build::{build, built, project};

/// Each function is a path.
const APP: &str = r##"
import gc, hashlib, json, os, random, secrets, sys, tempfile, time, uuid

COUNT = [0]

def app(environ, start_response):
    view = globals().get("view_" + environ["PATH_INFO"].strip("/"), view_missing)
    return view(environ, start_response)

def say(start_response, said, *headers, status="200 OK"):
    start_response(status, [("Content-Type", "application/json"), *headers])
    return [json.dumps(said).encode()]

def view_(environ, start_response):
    print("asked for", environ["PATH_INFO"])
    environ["wsgi.errors"].write("an error\n")
    return say(start_response, {name: environ[name] for name in ("HTTP_HOST", "REMOTE_ADDR", "wasm_gw.app")})

def view_late(environ, start_response):
    import late
    return say(start_response, late.NAME)

def view_modules(environ, start_response):
    return say(start_response, "late" in sys.modules)

def view_chance(environ, start_response):
    """A counter would be found between them."""
    node = uuid.getnode()
    said = [random.random(), secrets.token_hex(), str(uuid.uuid4()), node, next(tempfile._get_candidate_names())]
    return say(start_response, said, ("Set-Cookie", "token=" + secrets.token_urlsafe()))

def view_year(environ, start_response):
    return say(start_response, time.strftime("%Y"), ("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())))

def view_coin(environ, start_response):
    return say(start_response, random.choice("ab"))

def view_took(environ, start_response):
    begin = time.perf_counter()
    return say(start_response, round(time.perf_counter() - begin, 1))

def view_mode(environ, start_response):
    return say(start_response, os.environ.get("MODE"))

def view_stream(environ, start_response):
    start_response("200 OK", [])
    try:
        yield b"one "
        yield b""
        yield b"two"
    finally:
        print("closed", file=environ["wsgi.errors"])

def view_written(environ, start_response):
    write = start_response("200 OK", [])
    write(b"written, ")
    return iter([b"returned"])

def view_passed(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](environ["wsgi.input"])

def view_temporary(environ, start_response):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"x")
    return say(start_response, os.path.exists(file.name))

def view_login(environ, start_response):
    return say(start_response, "", ("Location", "/"), status="302 Found")

def view_missing(environ, start_response):
    return say(start_response, "nothing", status="404 Not Found")

def view_count(environ, start_response):
    COUNT[0] += 1
    return say(start_response, {"token": secrets.token_hex(), "count": COUNT})

class Knot:
    def __init__(self):
        self.itself = self

def view_garbage(environ, start_response):
    for _ in range(50_000):
        Knot()
    left = sum(type(thing) is Knot for thing in gc.get_objects())
    return say(start_response, [gc.isenabled(), left < 40_000])

def view_upload(environ, start_response):
    digest, length = hashlib.sha256(), 0
    while block := environ["wsgi.input"].read(100_000):
        digest.update(block)
        length += len(block)
    return say(start_response, [length, digest.hexdigest()])

KEPT = []

def view_working_set(environ, start_response):
    """30 MB, of large things and of small ones that hold each other."""
    found = len(KEPT)
    KEPT.extend(bytes([number]) * (1 << 20) for number in range(20))
    KEPT.append({number: [str(number)] for number in range(50_000)})
    right = all(block[-1] == number for number, block in enumerate(KEPT[:20]))
    return say(start_response, [found, right, KEPT[-1][49_999]])

def view_ticks(environ, start_response):
    start_response("200 OK", [])
    for number in range(15):
        time.sleep(0.1)
        yield b"%d\n" % number

def view_long(environ, start_response):
    """What each block leaves behind would be more than the memory that there is."""
    start_response("200 OK", [])
    for number in range(20_000):
        knot = Knot()
        knot.text = "x" * 10_000
        yield b"%d\n" % number

def view_raises(environ, start_response):
    raise LookupError("no such shop")

def view_caught(environ, start_response):
    import traceback
    try:
        view_raises(environ, start_response)
    except LookupError:
        traceback.print_exc(file=environ["wsgi.errors"])
    start_response("500 Internal Server Error", [])
    return [b"<h1>\nsorry\n</h1>"]
"##;

/// All that may be warmed, and is.
const MANIFEST: &str = r#"
[build]
app = "app:app"
env = { MODE = "of the build" }
warm = [
    "/", "/late", "/chance", "/year", "/coin", "/took", "/mode", "/stream", "/written", "/passed", "/temporary",
    "/login?next=/", "/no-such-page",
]
"#;

/// The component, and what was said when it was built.
static WARMED: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
    let dir = project(&[
        ("app.py", APP),
        ("late.py", "NAME = 'late'\n"),
        ("wasm-gw.toml", MANIFEST),
    ]);
    let said = built(dir.path(), &[]);
    (fs::read(dir.path().join("app.wasm")).unwrap(), said)
});

fn warmed() -> TestApp {
    TestApp::of_component("warmed", WARMED.0.clone())
}

async fn get(target: &str) -> Response {
    warmed().get(target).await
}

fn parsed(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn a_build_tells_what_was_answered() {
    let said = &WARMED.1;
    for part in [
        "/ 200, /late 200, /chance 200",
        "/login?next=/ 302, /no-such-page 404",
        "/chance: the header set-cookie is another in each instance, and was not compared",
        // By other clocks.
        "/year: line 1 of the body is another in each instance",
        "/took: line 1 of the body is another in each instance",
        "    asked for /",
        "    an error",
    ] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    // It is the same each time.
    assert_eq!(said.matches("asked for /").count(), 1, "{said}");
}

#[tokio::test]
async fn answers_are_those_of_an_application_that_was_not_warmed() {
    let server = warmed().serve().await;
    for (target, status, body) in [
        ("/late", 200, "\"late\""),
        ("/mode", 200, "null"),
        ("/stream", 200, "one two"),
        ("/written", 200, "written, returned"),
        ("/passed", 200, ""),
        ("/temporary", 200, "true"),
        ("/login", 302, "\"\""),
        ("/no-such-page", 404, "\"nothing\""),
    ] {
        let answer = server.get(target).await;
        assert_eq!(answer.expect(status).text(), body, "{target}");
    }
    let body = server.post("/passed", b"as it came").await;
    assert_eq!(body.expect(200).text(), "as it came");
}

#[tokio::test]
async fn what_a_view_imports_late_is_there() {
    assert_eq!(parsed(&get("/modules").await), json!(true));
}

#[tokio::test]
async fn nothing_is_drawn_twice() {
    let server = warmed().serve().await;
    let mut all = HashSet::new();
    for _ in 0..3 {
        let said = parsed(&server.get("/chance").await);
        for value in said.as_array().unwrap() {
            assert!(all.insert(value.to_string()), "{value} again");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_request_is_seen_by_the_next() {
    let server = warmed().serve().await;
    for _ in 0..2 {
        assert_eq!(parsed(&server.get("/count").await)["count"], json!([1]));
    }
}

#[tokio::test]
async fn garbage_of_a_request_is_collected() {
    assert_eq!(parsed(&get("/garbage").await), json!([true, true]));
}

#[tokio::test]
async fn an_upload_of_20_mib_arrives_as_it_was_sent() {
    let sent: Vec<u8> = (0..20 << 20).map(|at: u32| (at % 251) as u8).collect();
    let digest = "99254018a4506cae413a471f8b9d968a1ab1771565f3247b6e1c3f927e9a572f";
    let answer = warmed().serve().await.post("/upload", &sent).await;
    assert_eq!(parsed(answer.expect(200)), json!([20 << 20, digest]));
}

#[tokio::test]
async fn a_working_set_of_30_mb_is_right_and_gone_with_its_request() {
    let server = warmed().serve().await;
    for _ in 0..3 {
        let answer = server.get("/working_set").await;
        assert_eq!(parsed(answer.expect(200)), json!([0, true, ["49999"]]));
    }
}

#[tokio::test]
async fn a_response_may_stream_for_longer_than_the_time_to_its_head() {
    let app = warmed().app(|app| app.limits.timeout = Duration::from_secs(1));
    let expected: String = (0..15).map(|number| format!("{number}\n")).collect();
    assert_eq!(app.get("/ticks").await.expect(200).text(), expected);
}

#[tokio::test]
async fn a_long_stream_has_its_garbage_collected() {
    let app = warmed().app(|app| app.limits.memory = 100 << 20);
    let expected: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(app.get("/long").await.expect(200).text(), expected);
}

#[tokio::test]
async fn an_exception_has_its_traceback_in_the_log() {
    let answer = get("/raises").await;
    answer.expect(500);
    let said = log::wait(answer.id(), "LookupError: no such shop")
        .await
        .message;
    for part in [
        "Traceback (most recent call last)",
        "app.py\", line ",
        "in view_raises",
        "raise LookupError(\"no such shop\")",
        "LookupError: no such shop",
    ] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

#[test]
fn what_stays_is_refused_and_no_file_is_touched() {
    let dir = project(&[("app.py", APP), ("app.wasm", "of before")]);
    refused(
        build(dir.path(), &["app:app", "--warm=/", "--warm=/count"]),
        1,
        &[
            "cannot warm /count: what it changes stays in the component",
            "line 1 of the body",
            "\"count\": [1]",
            "Leave this path out of `warm`",
            "outside of the process",
        ],
    );
    let file = fs::read_to_string(dir.path().join("app.wasm")).unwrap();
    assert_eq!(file, "of before");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_path_that_fails_shows_the_traceback_of_the_application() {
    let dir = project(&[("app.py", APP)]);
    let traceback = "LookupError: no such shop";
    refused(
        build(dir.path(), &["app:app", "--warm=/raises"]),
        1,
        &["cannot warm /raises", "File \"app.py\", line", traceback],
    );
    refused(
        build(dir.path(), &["app:app", "--warm=/caught"]),
        1,
        &[
            "cannot warm /caught",
            "it answered 500 Internal Server Error",
            traceback,
            "sorry",
        ],
    );
    assert!(!dir.path().join("app.wasm").exists());
}

#[test]
fn a_path_that_is_none_is_told() {
    let dir = project(&[("app.py", APP)]);
    let check = |arguments: &[&str], code: i32, expected: &[&str]| {
        refused(build(dir.path(), arguments), code, expected);
    };
    check(
        &["app:app", "--warm", "login"],
        2,
        &["warm `login`: a path begins with /"],
    );
    check(&["app:app", "--warm", "/a b"], 2, &["%20"]);
    let mut many = vec!["app:app"];
    many.resize(34, "--warm=/");
    check(&many, 1, &["more than 32 paths"]);
}
