//! Which app a path reaches and how it is split into SCRIPT_NAME and PATH_INFO (protocol 2.1, 2.4),
//! and that an app can rebuild its URL from them (S61).

use wasm_gw_tests::{TestApp, TestServer, Vars, raw};

#[tokio::test]
async fn r2_1_a_mount_ends_at_a_segment() {
    let server = TestApp::of("environ_dump")
        .mounted("/api/rest")
        .serve()
        .await;
    for (target, path_info) in [
        ("/api/rest", Some("")),
        ("/api/rest/", Some("/")),
        ("/api/rest/get", Some("/get")),
        ("/api/rest/get/blah", Some("/get/blah")),
        ("/api/rest//", Some("//")),
        ("/api/rest?q", Some("")),
        ("/api/rest/Get", Some("/Get")),
        ("/%61pi/rest/x", Some("/x")),
        ("/api/restful", None),
        ("/api/rest%20", None),
        ("/api/rest%2Fget", None),
        ("/api%2Frest", None),
        ("/api", None),
        ("/api/", None),
        ("/API/rest", None),
        ("/apI/rest", None),
        ("//api/rest", None),
        ("/api//rest", None),
        ("/", None),
        ("/app/api/rest", None),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        raw::check(&server, &request, |response| match path_info {
            Some(path_info) => {
                let vars = Vars::of(response);
                assert_eq!(vars.get("SCRIPT_NAME"), Some("/api/rest"), "{target}");
                assert_eq!(vars.get("PATH_INFO"), Some(path_info), "{target}");
                assert_eq!(vars.get("REQUEST_URI"), Some(target));
            }
            None => assert_eq!(response.status, 404, "{target}"),
        })
        .await;
    }
}

#[tokio::test]
async fn r2_1_a_script_name_never_ends_in_a_slash() {
    for (mount, target, script_name, path_info) in [
        ("", "/x", "", "/x"),
        ("/", "/x", "", "/x"),
        ("/", "/", "", "/"),
        ("/app/", "/app/x", "/app", "/x"),
        ("/app/", "/app", "/app", ""),
        ("/app", "/app/", "/app", "/"),
        (
            "/caf\u{e9}",
            "/caf%C3%A9/%C3%A9",
            "/caf\u{c3}\u{a9}",
            "/\u{c3}\u{a9}",
        ),
        ("/a b", "/a%20b/c%20d", "/a b", "/c d"),
    ] {
        let server = TestApp::of("environ_dump").mounted(mount).serve().await;
        let vars = Vars::of(&server.get(target).await);
        assert_eq!(
            vars.get("SCRIPT_NAME"),
            Some(script_name),
            "{mount} {target}"
        );
        assert_eq!(vars.get("PATH_INFO"), Some(path_info), "{mount} {target}");
        assert_eq!(
            vars.get("wasm_gw.mount"),
            Some(script_name),
            "{mount} {target}"
        );
    }
}

/// Three apps; which one answered shows in `wasm_gw.app`, or by the answer.
async fn several() -> TestServer {
    TestApp::of("environ_dump")
        .mounted("/admin")
        .app(|app| app.name = "admin".into())
        .and("/admin/files", "echo")
        .and("/public", "hello")
        .serve()
        .await
}

#[tokio::test]
async fn r2_4_the_longest_mount_wins_and_outside_is_404() {
    let server = several().await;
    for (target, status, app) in [
        ("/admin", 200, "dump"),
        ("/admin/", 200, "dump"),
        ("/admin/filesystem", 200, "dump"),
        ("/admin/files", 200, "echo"),
        ("/admin/files/x", 200, "echo"),
        ("/admin/%66iles/x", 200, "echo"),
        ("/admin/files%2Fx", 200, "dump"),
        ("/ad%6Din/x", 200, "dump"),
        ("/admin%2Fx", 404, ""),
        ("/public", 200, "hello"),
        ("/publicly", 404, ""),
        ("/", 404, ""),
        ("/nowhere", 404, ""),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        raw::stays(&server, &request, |response| {
            assert_eq!(response.status, status, "{target}");
            let text = response.text();
            let answered = match text.as_str() {
                _ if status == 404 => "",
                "" => "echo",
                "hello, world\n" => "hello",
                _ => "dump",
            };
            assert_eq!(answered, app, "{target}: {text}");
        })
        .await;
    }
}

#[tokio::test]
async fn r2_4_dot_segments_that_lead_to_another_mount_are_400() {
    let server = several().await;
    for (target, status) in [
        ("/public/../admin/x", 400),
        ("/public/%2e%2e/admin", 400),
        ("/public/.%2E/admin/", 400),
        ("/public/x/../../admin", 400),
        ("/admin/files/../x", 400),
        ("/admin/./files/x", 400),
        ("/public/../", 400),
        ("/public/../nowhere", 400),
        ("/nowhere/../admin", 400),
        ("/./admin", 400),
        // Within one mount they are the app's business.
        ("/public/a/../b", 200),
        ("/public/./", 200),
        ("/public/..a", 200),
        ("/public/...", 200),
        ("/nowhere/../else", 404),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        raw::status(&server, &request, status).await;
    }
}

#[tokio::test]
async fn r2_1_a_client_cannot_set_the_script_name() {
    let server = TestApp::of("environ_dump").mounted("/app").serve().await;
    let request = "GET /app/x HTTP/1.1\r\nHost: test\r\nScript-Name: /fake\r\n\
                   SCRIPT_NAME: /fake\r\nX-Script-Name: /fake\r\nX-Forwarded-Prefix: /fake\r\n\r\n";
    let vars = Vars::of(&server.send(request).await);
    assert_eq!(vars.get("SCRIPT_NAME"), Some("/app"));
    assert_eq!(vars.get("PATH_INFO"), Some("/x"));
    assert_eq!(vars.get("HTTP_SCRIPT_NAME"), Some("/fake"));
}

#[tokio::test]
async fn s61_an_app_can_rebuild_its_url() {
    let root = TestApp::of("url_rebuild").serve().await;
    let mounted = TestApp::of("url_rebuild")
        .mounted("/shop/caf\u{e9}")
        .serve()
        .await;
    let local = |server: &TestServer| format!("http://{}", server.address);
    let check = async |server: &TestServer, target: &str, expected: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        raw::check(server, &request, |response| {
            assert_eq!(response.expect(200).text(), expected, "{target}");
        })
        .await;
    };
    for (target, url) in [
        ("/", "/"),
        ("/?", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a//b", "//a//b"),
        ("///x", "///x"),
        ("//host/path", "//host/path"),
        ("/a/../b", "/a/../b"),
        ("/./a", "/./a"),
        ("/%2e%2e/", "/../"),
        // A slash that was sent encoded is lost here; REQUEST_URI has it.
        ("/a%2Fb", "/a/b"),
        ("/%0d%0a", "/%0D%0A"),
        ("/%zz", "/%25zz"),
        ("/%a", "/%25a"),
        ("/%", "/%25"),
        ("/%FF", "/%FF"),
        ("/%E2%82%AC", "/%E2%82%AC"),
        ("/\u{20ac}", "/%E2%82%AC"),
        ("/a%20b;c=d,e@f:g", "/a%20b%3Bc%3Dd%2Ce%40f%3Ag"),
        ("/\"{}\\^[]|", "/%22%7B%7D%5C%5E%5B%5D%7C"),
        ("/p?q#frag", "/p?q"),
        ("/p?a=%20+;%zz&b?c", "/p?a=%20+;%zz&b?c"),
    ] {
        check(&root, target, &format!("http://test{url}")).await;
    }
    check(&root, "http://h:8/p?q", "http://h:8/p?q").await;
    check(&root, "http://h", "http://h/").await;
    for (target, url) in [
        ("/shop/caf%C3%A9", "http://test/shop/caf%C3%A9"),
        ("/shop/caf%c3%a9/", "http://test/shop/caf%C3%A9/"),
        (
            "/shop/caf%C3%A9/a%20b?c",
            "http://test/shop/caf%C3%A9/a%20b?c",
        ),
    ] {
        check(&mounted, target, url).await;
    }
    for (host, expected) in [
        ("Host: [::1]:8080\r\n", "http://[::1]:8080/".to_owned()),
        ("Host: EXAMPLE.COM.\r\n", "http://EXAMPLE.COM./".to_owned()),
        ("Host: ex.com:\r\n", "http://ex.com:/".to_owned()),
        ("Host:\r\n", local(&root) + "/"),
        ("", local(&root) + "/"),
    ] {
        let version = if host.is_empty() { "1.0" } else { "1.1" };
        let request = format!("GET / HTTP/{version}\r\n{host}\r\n");
        raw::check(&root, &request, |response| {
            assert_eq!(response.expect(200).text(), expected, "{host:?}");
        })
        .await;
    }
}
