//! `examples/flask-notes`.

use serde_json::Value;
use wasm_gw_tests::client::End;
use wasm_gw_tests::visitor::{bytes, value_of};
use wasm_gw_tests::{Response, TestServer, Visitor, log};

use super::{has, has_not, is_told_in_the_log_only};

pub(super) async fn serve() -> TestServer {
    super::serve(FOLDER, "app:app").await
}

const FOLDER: &str = "examples/flask-notes";

/// Writes a note, and returns the page that it leads to.
async fn write(visitor: &mut Visitor<'_>, title: &str) -> Response {
    let form = visitor.get("/new").await;
    let csrf = value_of(form.expect(200), "csrf");
    let values = [
        ("csrf", csrf.as_str()),
        ("title", title),
        ("text", "a text"),
    ];
    let answer = visitor.submit("/new", &values).await;
    assert_eq!(answer.expect(303).header("location"), Some("/"));
    visitor.get("/").await
}

#[tokio::test]
async fn notes_are_kept_in_the_cookie_and_messages_shown_once() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    has(
        visitor.get("/").await.expect(200),
        &["<h1>Notes</h1>", "Nothing yet."],
    );
    let page = write(&mut visitor, "first").await;
    has(
        &page,
        &[
            "<p class=\"flash good\">Noted.</p>",
            "<h2>first</h2>",
            "<p>a text</p>",
        ],
    );
    let page = write(&mut visitor, "<second> & last").await;
    has(
        &page,
        &["<h2>first</h2>", "<h2>&lt;second&gt; &amp; last</h2>"],
    );
    has_not(&visitor.get("/").await, &["Noted."]);

    let notes: Value = serde_json::from_slice(&visitor.get("/api/notes").await.body).unwrap();
    assert_eq!(notes["notes"].as_array().unwrap().len(), 2, "{notes}");
    assert_eq!(notes["notes"][1]["title"], "first");

    let id = notes["notes"][1]["id"].as_str().unwrap();
    let csrf = value_of(&visitor.get("/").await, "csrf");
    let answer = visitor
        .submit(&format!("/{id}/delete"), &[("csrf", &csrf)])
        .await;
    answer.expect(303);
    let page = visitor.get("/").await;
    has(&page, &["Deleted.", "&lt;second&gt;"]);
    has_not(&page, &["<h2>first</h2>"]);

    // Somebody else has none of it.
    has(&Visitor::of(&server).get("/").await, &["Nothing yet."]);
}

#[tokio::test]
async fn a_form_without_its_token_is_refused_and_a_wrong_one_told_what_is_wrong() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    has(
        visitor.submit("/new", &[("title", "x")]).await.expect(400),
        &["out of date"],
    );
    let csrf = value_of(&visitor.get("/new").await, "csrf");
    let other = value_of(&Visitor::of(&server).get("/new").await, "csrf");
    assert_ne!(csrf, other);
    for wrong in ["", "x", &other] {
        let values = [("csrf", wrong), ("title", "x")];
        visitor.submit("/new", &values).await.expect(400);
    }
    let values = [("csrf", csrf.as_str()), ("title", ""), ("text", "kept")];
    let page = visitor.submit("/new", &values).await;
    has(
        page.expect(422),
        &["A note needs a title.", ">kept</textarea>"],
    );
}

#[tokio::test]
async fn a_forged_cookie_is_none() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    has(&write(&mut visitor, "mine").await, &["<h2>mine</h2>"]);
    let cookie = visitor.cookies["notes"].clone();
    let (content, signature) = cookie.rsplit_once('.').unwrap();
    // The last letter of a signature carries two bits that say nothing.
    let turned: String = signature.chars().rev().collect();
    for forged in [
        format!("{content}.{turned}"),
        format!("x{cookie}"),
        content.to_owned(),
    ] {
        visitor.cookies.insert("notes".into(), forged);
        has(visitor.get("/").await.expect(200), &["Nothing yet."]);
    }
    visitor.cookies.insert("notes".into(), cookie);
    has(&visitor.get("/").await, &["<h2>mine</h2>"]);
}

#[tokio::test]
async fn the_key_is_that_of_the_run() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    has(&write(&mut visitor, "mine").await, &["<h2>mine</h2>"]);

    let other = super::serve_with(FOLDER, "app:app", &[("SECRET_KEY", "another")]).await;
    let mut there = Visitor::of(&other);
    there.cookies.clone_from(&visitor.cookies);
    has(there.get("/").await.expect(200), &["Nothing yet."]);

    let none = super::serve_with(FOLDER, "app:app", &[]).await;
    has(none.get("/new").await.expect(500), &["<h1>500 Internal"]);
}

#[tokio::test]
async fn an_upload_of_20_mib_arrives_as_it_was_sent() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    let csrf = value_of(&visitor.get("/files/").await, "csrf");
    let page = visitor
        .upload("/files/", &[("csrf", &csrf)], &bytes(20 << 20))
        .await;
    has(
        page.expect(200),
        &[
            "<dd>a file.bin</dd>",
            "<dd>application/x-thing</dd>",
            "<dd>20971520 bytes</dd>",
            "ae07013a948fc3b2bbe699e25522e6d6e20e0bc298fceb051a755f3a860b32f3",
        ],
    );
    log::wait(page.id(), "upload: 20971520 bytes of application/x-thing").await;

    let page = visitor
        .upload("/files/", &[("csrf", &csrf)], &bytes(21 << 20))
        .await;
    page.expect(413);
}

#[tokio::test]
async fn a_static_file_is_read_whole_in_part_and_not_at_all() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    let whole = visitor.get("/static/style.css").await;
    assert_eq!(
        whole.expect(200).header("content-type"),
        Some("text/css; charset=utf-8")
    );
    let file = include_str!("../../../examples/flask-notes/notes/static/style.css");
    assert_eq!(whole.text(), file);

    let etag = whole.header("etag").unwrap();
    let none = visitor
        .get_with("/static/style.css", &[("If-None-Match", etag)])
        .await;
    assert!(none.expect(304).body.is_empty());
    let other = [("If-None-Match", "\"of an older file\"")];
    let again = visitor.get_with("/static/style.css", &other).await;
    assert_eq!(again.expect(200).body, whole.body);

    let part = visitor
        .get_with("/static/style.css", &[("Range", "bytes=5-10")])
        .await;
    assert_eq!(part.expect(206).body, file.as_bytes()[5..=10]);
    let range = format!("bytes 5-10/{}", file.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    visitor
        .get_with("/static/style.css", &[("Range", "bytes=99999-")])
        .await
        .expect(416);
    visitor.get("/static/../app.py").await.expect(404);
}

#[tokio::test]
async fn a_long_answer_is_made_while_it_is_read() {
    let server = serve().await;
    let mut client = server.connect().await;
    client
        .send("GET /count/1000000 HTTP/1.1\r\nHost: test\r\n\r\n")
        .await;
    let head = client.head().await;
    assert_eq!(head.header("content-length"), None);
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"1\n");
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"2\n");
    // Who leaves now has not made the guest write it all.
    client.reset();
    let line = server.access_log_of(head.id()).await;
    let sent: usize = line
        .split("\" 200 ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(sent < 6_888_896, "{line}");

    let whole = server.get("/count/20000").await;
    assert_eq!(whole.expect(200).end, End::Whole);
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(whole.text(), expected);

    let mut visitor = Visitor::of(&server);
    write(&mut visitor, "exported").await;
    let export = visitor.get("/export.txt").await;
    has(
        export.expect(200),
        &["1 notes\n", "\n# exported\n", "\na text\n"],
    );
}

#[tokio::test]
async fn errors_have_pages_and_the_log_the_reason() {
    let server = serve().await;
    let broken = server.get("/broken").await;
    has(&broken, &["<h1>500 Internal Server Error</h1>"]);
    is_told_in_the_log_only(
        &broken,
        "RuntimeError: this page is broken on purpose",
        "views.py",
    )
    .await;
    let lost = server.get("/nope").await;
    has(lost.expect(404), &["<h1>404 Not Found</h1>", "<nav>"]);
    let lost = server.get("/api/nope").await;
    let said: Value = serde_json::from_slice(&lost.expect(404).body).unwrap();
    assert_eq!(said["error"], "Not Found");
    let answer = server.post("/count/3", b"").await;
    answer.expect(405);
}
