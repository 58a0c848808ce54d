//! The `/tmp` of an instance: what a guest can do there, that it leads nowhere else, what it may take, and that
//! nothing of it outlives the instance.

use wasm_gw_runtime::{DirGrant, Isolation, Reuse};
use wasm_gw_tests::command::Process;
use wasm_gw_tests::crowd::{Crowd, assert_statuses};
use wasm_gw_tests::{TestApp, TestServer, whole_machine};

/// What a guest is told that has no room for a file more.
const FULL: &str = r#""No space left on device""#;

/// And for more of a file: the host says the same, but its C library takes all errors of streams for one.
const NO_MORE: &str = r#""I/O error""#;

/// The guest, with so much memory.
fn app(mib: usize) -> TestApp {
    TestApp::of("temporary_files").app(|app| app.limits.memory = mib << 20)
}

/// What the guest says of what it was asked to do.
async fn does(server: &TestServer, what: &str) -> Vec<String> {
    let response = server.get(&format!("/?do={what}")).await;
    let text = response.expect(200).text();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn files_and_folders_are_made_changed_moved_and_removed() {
    let server = app(64).serve().await;
    let expected = [
        r#""hello, there""#,
        r#""hello, there?!""#,
        "[104, 101, 108, 108, 111, 0, 0, 0]",
        "1099511627776",
        "[0, 0]",
        "(true, 5)",
        "true",
        r#"["b", "copy", "other", "same"]"#,
        r#""hello""#,
        "[]",
    ];
    assert_eq!(does(&server, "use").await, expected);
}

#[tokio::test]
async fn what_cannot_be_done_is_told_as_any_system_does() {
    let server = app(64).serve().await;
    let expected = [
        r#"Err("No such file or directory")"#,
        r#"Err("File exists")"#,
        r#"Err("Is a directory")"#,
        r#"Err("Not a directory")"#,
        r#"Err("File exists")"#,
        r#"Err("Directory not empty")"#,
        r#"Err("Is a directory")"#,
        r#"Err("Invalid argument")"#,
        r#"Err("Filename too long")"#,
        r#"Err("Invalid argument")"#,
        r#"Err("Operation not permitted")"#,
        r#""descriptors""#,
        "true",
        "true",
        "true",
        r#""text""#,
    ];
    assert_eq!(does(&server, "refuse").await, expected);
}

#[tokio::test]
async fn a_file_without_a_name_goes_on_until_it_is_closed() {
    let server = app(64).serve().await;
    let expected = ["true", "[]", r#"("old", "new")"#, r#"["old"]"#];
    assert_eq!(does(&server, "unlinked").await, expected);
}

#[tokio::test]
async fn an_upload_is_put_aside_and_read_again() {
    let server = app(64).serve().await;
    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 253) as u8)
        .collect();
    let mut client = server.connect().await;
    let head = format!(
        "POST /?do=spool HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head).await;
    client.send(&body).await;
    let response = client.response("POST").await;
    assert!(response.expect(200).body == body);
}

#[tokio::test]
async fn no_path_leads_out_of_it() {
    let server = TestApp::of("env_and_files").serve().await;
    for query in [
        "read=/tmp/../etc/passwd",
        "read=/tmp/../../etc/passwd",
        "read=/tmp/a/../../../etc/passwd",
        "read=/etc/passwd",
        "read=etc/passwd",
        "read=/tmp//etc/passwd",
        "list=/tmp/..",
        "list=/",
        "write=/tmp/../x",
        "write=/x",
        "mkdir=/tmp/../x",
        "mkdir=/srv",
        "remove=/tmp/../etc/passwd",
    ] {
        let text = server.get(&format!("/?{query}")).await.expect(200).text();
        let line = text.lines().last().unwrap();
        assert!(line.contains(": error "), "{line}");
    }
    let text = server.get("/?list=/tmp").await.expect(200).text();
    assert!(text.ends_with("list /tmp: ok []\n"), "{text}");
}

#[tokio::test]
async fn what_one_request_leaves_the_next_does_not_find() {
    let server = app(64).serve().await;
    for name in ["a", "b", "c"] {
        let left = does(&server, &format!("leave&name={name}")).await;
        assert_eq!(left, [format!("[{name:?}]")]);
    }
    assert_eq!(does(&server, "list").await, ["[]"]);
}

#[tokio::test]
async fn an_instance_that_serves_many_requests_keeps_its_files() {
    let server = app(64)
        .app(|app| {
            app.concurrency = 1;
            app.isolation = Isolation::App(Reuse::default());
        })
        .serve()
        .await;
    assert_eq!(does(&server, "leave&name=a").await, [r#"["a"]"#]);
    assert_eq!(does(&server, "leave&name=b").await, [r#"["a", "b"]"#]);
}

#[tokio::test]
async fn an_instance_that_leaves_too_much_serves_no_more() {
    let server = app(64)
        .app(|app| {
            app.concurrency = 1;
            app.isolation = Isolation::App(Reuse {
                memory: 8 << 20,
                ..Reuse::default()
            });
        })
        .serve()
        .await;
    for (what, expected) in [
        ("leave&name=a", r#"["a"]"#),
        ("leave&name=b&kib=10000", r#"["a", "b"]"#),
        ("list", "[]"),
    ] {
        assert_eq!(does(&server, what).await, [expected]);
    }
}

/// The KiB in a line.
fn kib(line: &str) -> u64 {
    let number = line.trim_matches('"').strip_suffix(" KiB");
    number.and_then(|number| number.parse().ok()).unwrap()
}

#[tokio::test]
async fn a_full_one_is_told_of_and_can_be_emptied() {
    let server = app(32).serve().await;
    let said = does(&server, "fill").await;
    assert_eq!(said[0], NO_MORE);
    // Half of the memory, with what a page costs beside what it holds.
    assert!((15 << 10..16 << 10).contains(&kib(&said[1])), "{said:?}");
    // Once it is empty again there is as much room.
    assert_eq!(said[2..], said[..2]);
    let said = does(&server, "fill&files=3").await;
    assert_eq!(said[..3], [NO_MORE; 3]);
    assert_eq!(said[4..], said[..4]);
}

#[tokio::test]
async fn files_and_memory_are_one_limit() {
    let server = app(32).serve().await;
    let without = kib(&does(&server, "grow").await[0]);
    assert!(without > 28 << 10, "{without}");
    let said = does(&server, "grow&kib=12288").await;
    let with = kib(&said[0]);
    assert!(with + (12 << 10) <= without, "{with} {without}");
    // Then there is room for neither, until there is less of one.
    assert_eq!(said[1..], [format!("Err({NO_MORE})"), "true".to_owned()]);
}

#[tokio::test]
async fn there_can_be_so_many_files_and_folders() {
    let server = app(256).serve().await;
    for what in ["many", "many&folders"] {
        let expected = [FULL, "65535", "65535", r#"["one-more"]"#];
        assert_eq!(does(&server, what).await, expected, "{what}");
    }
    // Or as many as there is memory for.
    let server = app(4).serve().await;
    let said = does(&server, "many").await;
    let count: usize = said[1].parse().unwrap();
    assert_eq!(said[0], FULL);
    assert!((1000..8000).contains(&count), "{count}");
}

#[tokio::test]
async fn it_can_be_left_out() {
    let server = TestApp::of("env_and_files")
        .app(|app| app.grants.tmp = false)
        .serve()
        .await;
    for query in ["write=/tmp/x", "mkdir=/tmp/x", "list=/tmp"] {
        let text = server.get(&format!("/?{query}")).await.expect(200).text();
        let line = text.lines().last().unwrap();
        assert!(line.contains(": error "), "{line}");
    }
}

#[tokio::test]
async fn a_granted_folder_takes_its_place_or_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let granting = |guest: &str| DirGrant {
        host: folder.path().to_owned(),
        guest: guest.to_owned(),
        read_only: false,
    };
    let tried = async |guest: &str, query: &str| {
        let server = TestApp::of("env_and_files")
            .app(|app| app.grants.dirs = vec![granting(guest)])
            .serve()
            .await;
        let text = server.get(&format!("/?{query}")).await.expect(200).text();
        text.lines().last().unwrap().to_owned()
    };
    let written = tried("/tmp", "write=/tmp/granted").await;
    assert!(written.contains(": ok"), "{written}");
    assert!(folder.path().join("granted").exists());
    let written = tried("/data", "write=/tmp/ours").await;
    assert!(written.contains(": ok"), "{written}");
    assert!(!folder.path().join("ours").exists());
    let written = tried("/data", "write=/data/theirs").await;
    assert!(written.contains(": ok"), "{written}");
    assert!(folder.path().join("theirs").exists());
}

/// Guests that do their worst, many at once, do not take more than the server has.
#[tokio::test]
async fn hostile_guests_stay_within_the_budget() {
    const TOTAL: u64 = 512;
    let _alone = whole_machine().await;
    let arguments = [
        "--app=/hello=hello.wasm",
        "--app=/temporary_files=temporary_files.wasm",
        "--memory-total=512MiB",
        "--cpu=500ms",
        "--queue-timeout=500ms",
    ];
    let process = Process::with_status(&arguments).await;
    process.get("/hello").await.expect(200);
    process.is_empty().await;
    let committed = process.metrics().await.gauge("memory_committed_bytes");
    process.forget_peak();
    for target in [
        "/temporary_files?do=fill&files=3",
        "/temporary_files?do=hostile",
        "/temporary_files?do=hostile&open=9000",
    ] {
        let crowd = Crowd::get(process.address(), target, 16);
        let (answers, neighbours) = crowd.answers_beside(process.address(), "/hello").await;
        assert_statuses(target, &answers, &[200, 500, 502, 503, 504]);
        assert_statuses(target, &neighbours, &[200]);
        process.is_empty().await;
        let peak = process.memory("VmHWM");
        assert!(peak <= TOTAL + TOTAL * 15 / 100, "{target}: {peak} MiB");
        // Nothing of it is left in the books.
        let left = process.metrics().await.gauge("memory_committed_bytes");
        assert!(left <= committed + f64::from(32 << 20), "{target}: {left}");
    }
    assert_eq!(process.said("panicked"), 0, "{}", process.stderr());
}
