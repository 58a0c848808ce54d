//! `examples/django-site`.

use std::collections::BTreeSet;

use serde_json::Value;
use wasm_gw_tests::visitor::{bytes, value_of};
use wasm_gw_tests::{Response, TestServer, Visitor, log};

use super::{has, has_not, is_told_in_the_log_only};

async fn serve() -> TestServer {
    super::serve("examples/django-site", "mysite.wsgi:application").await
}

const TOKEN: &str = "csrfmiddlewaretoken";

/// Signs the guest book, and returns the page that it leads to.
async fn sign(visitor: &mut Visitor<'_>, name: &str) -> Response {
    let token = value_of(visitor.get("/sign/").await.expect(200), TOKEN);
    let values = [
        (TOKEN, token.as_str()),
        ("name", name),
        ("text", "was here"),
    ];
    let answer = visitor.submit("/sign/", &values).await;
    assert_eq!(answer.expect(302).header("location"), Some("/"));
    log::wait(
        answer.id(),
        &format!("INFO guestbook.views: signed by {name}"),
    )
    .await;
    visitor.get("/").await
}

#[tokio::test]
async fn entries_are_kept_in_a_signed_cookie_and_messages_shown_once() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    let page = visitor.get("/").await;
    has(
        page.expect(200),
        &["<h1>Guest book</h1>", "Nobody has signed yet."],
    );
    let page = sign(&mut visitor, "Ada").await;
    has(
        &page,
        &[
            "<p class=\"message success\">Thank you, Ada.</p>",
            "<h2>Ada</h2>",
            "<p>was here</p>",
        ],
    );
    let page = sign(&mut visitor, "Grace").await;
    has(
        &page,
        &["Thank you, Grace.", "<h2>Ada</h2>", "<h2>Grace</h2>"],
    );
    has_not(&visitor.get("/").await, &["Thank you"]);

    let json = visitor.get("/entries.json").await;
    let entries: Value = serde_json::from_slice(&json.expect(200).body).unwrap();
    assert_eq!(entries["entries"][0]["name"], "Grace");
    assert_eq!(entries["entries"][1]["name"], "Ada");
    let csv = visitor.get("/entries.csv").await;
    assert_eq!(csv.expect(200).header("content-length"), None);
    has(
        &csv,
        &["name,email,text,at\r\nGrace,,was here,2", "\r\nAda,,"],
    );

    // What nobody with the key has signed is nobody's.
    let session = visitor.cookies["sessionid"].clone();
    let (rest, signature) = session.rsplit_once(':').unwrap();
    let turned: String = signature.chars().rev().collect();
    visitor
        .cookies
        .insert("sessionid".into(), format!("{rest}:{turned}"));
    has(
        visitor.get("/").await.expect(200),
        &["Nobody has signed yet."],
    );
    visitor.cookies.insert("sessionid".into(), session);

    let token = value_of(&visitor.get("/").await, TOKEN);
    visitor
        .submit("/forget/", &[(TOKEN, &token)])
        .await
        .expect(302);
    assert!(!visitor.cookies.contains_key("sessionid"));
    has(
        &visitor.get("/").await,
        &["Forgotten.", "Nobody has signed yet."],
    );
}

#[tokio::test]
async fn a_form_needs_its_token_and_each_page_has_another() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    let values = [("name", "x"), ("text", "y")];
    let refused = visitor.submit("/sign/", &values).await;
    has(refused.expect(403), &["CSRF verification failed"]);
    log::wait(refused.id(), "Forbidden (CSRF cookie not set.)").await;

    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        let page = visitor.get("/sign/").await;
        assert!(tokens.insert(value_of(&page, TOKEN)), "{tokens:?}");
    }
    visitor.submit("/sign/", &values).await.expect(403);
    let other = value_of(&Visitor::of(&server).get("/sign/").await, TOKEN);
    let stolen = [(TOKEN, other.as_str()), ("name", "x"), ("text", "y")];
    visitor.submit("/sign/", &stolen).await.expect(403);
    // All of the same visitor are good.
    for token in &tokens {
        let values = [(TOKEN, token.as_str()), ("name", "x"), ("email", "none")];
        let page = visitor.submit("/sign/", &values).await;
        has(
            page.expect(200),
            &["Enter a valid email address.", "This field is required."],
        );
    }
}

#[tokio::test]
async fn an_upload_that_django_puts_into_a_file_arrives_as_it_was_sent() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    let token = value_of(&visitor.get("/upload/").await, TOKEN);
    let page = visitor
        .upload("/upload/", &[(TOKEN, &token)], &bytes(3 << 20))
        .await;
    has(
        page.expect(200),
        &[
            "<dd>a file.bin</dd>",
            "<dd>application/x-thing</dd>",
            "<dd>3145728 bytes (3.0\u{a0}MB)</dd>",
            "a588dc6a4320586d9363c40a5ed9dc085f2a9c4c54151e63d59c2887eb8cd19f",
        ],
    );
    let page = visitor
        .upload("/upload/", &[(TOKEN, &token)], &bytes((20 << 20) + 1))
        .await;
    has(page.expect(200), &["At most 20.0\u{a0}MB, please."]);
}

#[tokio::test]
async fn static_files_are_served_by_whitenoise() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    let path = "/static/guestbook/style.css";
    has(&visitor.get("/").await, &[&format!("href=\"{path}\"")]);
    let whole = visitor.get(path).await;
    let file = include_str!("../../../examples/django-site/guestbook/static/guestbook/style.css");
    assert_eq!(whole.expect(200).text(), file);
    let etag = whole.header("etag").unwrap();
    let none = visitor.get_with(path, &[("If-None-Match", etag)]).await;
    assert!(none.expect(304).body.is_empty());
    let part = visitor.get_with(path, &[("Range", "bytes=0-3")]).await;
    assert_eq!(part.expect(206).text(), "body");
}

#[tokio::test]
async fn there_is_no_admin_and_errors_have_pages() {
    let server = serve().await;
    let mut visitor = Visitor::of(&server);
    for lost in ["/admin/", "/admin/login/", "/nope"] {
        let page = visitor.get(lost).await;
        has(page.expect(404), &["<h1>Not found</h1>", "<nav>"]);
    }
    let moved = visitor.get("/sign").await;
    assert_eq!(moved.expect(301).header("location"), Some("/sign/"));
    visitor.get("/forget/").await.expect(405);
    let broken = visitor.get("/broken/").await;
    has(&broken, &["It is in the log."]);
    is_told_in_the_log_only(
        &broken,
        "RuntimeError: this page is broken on purpose",
        "views.py",
    )
    .await;
    // A name that nobody has given to this site.
    let foreign = server.get("/").await;
    has_not(foreign.expect(400), &["Traceback", "ALLOWED_HOSTS"]);
}
