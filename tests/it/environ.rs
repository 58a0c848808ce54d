//! The variables of a request, one by one: protocol 2.1, S5 to S16, S61. What header fields become
//! is in `headers`, what targets and hosts become in `target`.

use std::collections::{BTreeMap, BTreeSet};

use wasm_gw_protocol::{Presence, VARIABLES};
use wasm_gw_tests::client::Client;
use wasm_gw_tests::{TestApp, TestServer, Vars, raw};

async fn dump() -> TestServer {
    TestApp::of("environ_dump").serve().await
}

#[tokio::test]
async fn r2_1_the_whole_environ_of_a_request() {
    let server = TestApp::of("environ_dump").mounted("/shop").serve().await;
    let mut client = server.connect().await;
    let port = client.stream.local_addr().unwrap().port().to_string();
    let request = "POST /shop/caf%C3%A9/?a=%20b&c?d HTTP/1.1\r\nHost: Example.COM:1\r\n\
                   Content-Type: text/plain; charset=utf-8\r\nContent-Length: 003\r\n\
                   Accept: */*\r\nX-Empty:\r\n\r\nabc";
    client.send(request).await;
    let response = client.response("POST").await;
    let listens_on = server.address.port().to_string();
    let expected = [
        ("CONTENT_LENGTH", "3"),
        ("CONTENT_TYPE", "text/plain; charset=utf-8"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_ACCEPT", "*/*"),
        ("HTTP_HOST", "Example.COM:1"),
        ("HTTP_X_EMPTY", ""),
        ("PATH_INFO", "/caf\u{c3}\u{a9}/"),
        ("QUERY_STRING", "a=%20b&c?d"),
        ("RAW_URI", "/shop/caf%C3%A9/?a=%20b&c?d"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", &port),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/shop/caf%C3%A9/?a=%20b&c?d"),
        ("SCRIPT_NAME", "/shop"),
        ("SERVER_NAME", "example.com"),
        ("SERVER_PORT", &listens_on),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", wasm_gw_runtime::SERVER_SOFTWARE),
        ("run.input-terminated", "true"),
        ("run.multiprocess", "true"),
        ("run.multithread", "false"),
        ("run.run-once", "true"),
        ("wasm_gw.app", "environ_dump"),
        ("wasm_gw.mount", "/shop"),
        ("wasm_gw.request_id", response.id()),
        ("wsgi.url_scheme", "http"),
    ];
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(Vars::of(&response).0, expected);
}

#[tokio::test]
async fn s6_script_name_path_info_and_query_string_are_there_when_empty() {
    let server = dump().await;
    for (target, query) in [("/", ""), ("/?", ""), ("/?q", "q")] {
        let vars = Vars::of(&server.get(target).await);
        assert_eq!(vars.get("SCRIPT_NAME"), Some(""), "{target}");
        assert_eq!(vars.get("PATH_INFO"), Some("/"), "{target}");
        assert_eq!(vars.get("QUERY_STRING"), Some(query), "{target}");
    }
    let server = TestApp::of("environ_dump").mounted("/app").serve().await;
    let vars = Vars::of(&server.get("/app").await);
    assert_eq!(vars.get("SCRIPT_NAME"), Some("/app"));
    assert_eq!(vars.get("PATH_INFO"), Some(""));
    assert_eq!(vars.get("QUERY_STRING"), Some(""));
}

#[tokio::test]
async fn s7_method_name_and_port_are_never_empty() {
    let server = dump().await;
    let port = server.address.port().to_string();
    // Neither an empty Host nor none at all leaves the name empty, and Host's port is not ours.
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n",
    ] {
        raw::check(&server, request, |response| {
            let vars = Vars::of(response);
            assert_eq!(vars.get("REQUEST_METHOD"), Some("GET"), "{request}");
            assert_eq!(vars.get("SERVER_NAME"), Some("127.0.0.1"), "{request}");
            assert_eq!(vars.get("SERVER_PORT"), Some(port.as_str()), "{request}");
        })
        .await;
    }
}

#[tokio::test]
async fn r2_1_a_configured_name_stands_in_for_a_missing_host_only() {
    let server = TestApp::of("environ_dump")
        .app(|app| app.server_name = Some("shop.example".into()))
        .serve()
        .await;
    let name = |request: &'static str| {
        let server = &server;
        async move {
            Vars::of(&server.send(request).await)
                .0
                .remove("SERVER_NAME")
                .unwrap()
        }
    };
    assert_eq!(name("GET / HTTP/1.0\r\n\r\n").await, "shop.example");
    assert_eq!(
        name("GET / HTTP/1.1\r\nHost: \r\n\r\n").await,
        "shop.example"
    );
    assert_eq!(name("GET / HTTP/1.1\r\nHost: other\r\n\r\n").await, "other");
}

#[tokio::test]
async fn r2_1_a_method_is_passed_on_as_it_is() {
    let server = dump().await;
    let longest = "M".repeat(32);
    for method in [
        "GET",
        "get",
        "PROPFIND",
        "-BLARGH",
        "M-SEARCH",
        "!#$%&'*+-.^_`|~",
        &longest,
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: test\r\n\r\n");
        raw::check(&server, &request, |response| {
            assert_eq!(Vars::of(response).get("REQUEST_METHOD"), Some(method));
        })
        .await;
    }
}

#[tokio::test]
async fn r2_1_the_protocol_is_the_requests() {
    let server = dump().await;
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let request = format!("GET / {protocol}\r\nHost: test\r\n\r\n");
        raw::check(&server, &request, |response| {
            assert_eq!(Vars::of(response).get("SERVER_PROTOCOL"), Some(protocol));
        })
        .await;
    }
}

#[tokio::test]
async fn r2_1_server_software_is_the_text_of_the_server_field() {
    let software = wasm_gw_runtime::SERVER_SOFTWARE;
    let server = TestApp::of("environ_dump")
        .app(|app| app.server_header = Some(http::HeaderValue::from_static(software)))
        .serve()
        .await;
    let response = server.get("/").await;
    assert_eq!(response.header("server"), Some(software));
    assert_eq!(Vars::of(&response).get("SERVER_SOFTWARE"), Some(software));
    let (name, version) = software.split_once('/').unwrap();
    assert_eq!((name, version.split('.').count()), ("wasm-gw", 3));
}

#[tokio::test]
async fn r2_1_ipv6_addresses_have_brackets_in_the_name_and_none_in_the_client() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return; // A machine without IPv6.
    }
    let server = TestApp::of("environ_dump")
        .on("[::1]:0".parse().unwrap())
        .serve()
        .await;
    let vars = Vars::of(&server.send("GET / HTTP/1.0\r\n\r\n").await);
    assert_eq!(vars.get("SERVER_NAME"), Some("[::1]"));
    assert_eq!(vars.get("REMOTE_ADDR"), Some("::1"));

    // An IPv4 client of an IPv6 socket is an IPv4 client.
    let mut server = TestApp::of("environ_dump")
        .on("[::]:0".parse().unwrap())
        .serve()
        .await;
    server.address = ([127, 0, 0, 1], server.address.port()).into();
    let vars = Vars::of(&server.send("GET / HTTP/1.0\r\n\r\n").await);
    assert_eq!(vars.get("SERVER_NAME"), Some("127.0.0.1"));
    assert_eq!(vars.get("REMOTE_ADDR"), Some("127.0.0.1"));
}

#[tokio::test]
async fn r2_1_over_a_unix_socket_host_gives_the_port_and_there_is_no_client_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _server = TestApp::of("environ_dump").unix(path.clone()).serve().await;
    for (request, name, port) in [
        (
            "GET / HTTP/1.1\r\nHost: Example.com:8443\r\n\r\n",
            "example.com",
            "8443",
        ),
        (
            "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
            "example.com",
            "80",
        ),
        (
            "GET / HTTP/1.1\r\nHost: example.com:\r\n\r\n",
            "example.com",
            "80",
        ),
        (
            "GET http://other:81/ HTTP/1.1\r\nHost: example.com:8\r\n\r\n",
            "other",
            "81",
        ),
        ("GET / HTTP/1.0\r\n\r\n", "localhost", "80"),
    ] {
        let mut client = Client::connect_unix(&path).await;
        client.send(request).await;
        let vars = Vars::of(&client.response("GET").await);
        assert_eq!(vars.get("SERVER_NAME"), Some(name), "{request}");
        assert_eq!(vars.get("SERVER_PORT"), Some(port), "{request}");
        assert_eq!(vars.get("REMOTE_ADDR"), None, "{request}");
        assert_eq!(vars.get("REMOTE_PORT"), None, "{request}");
    }
}

#[tokio::test]
async fn s9_what_has_nothing_to_say_is_absent() {
    let server = dump().await;
    let request = "GET / HTTP/1.1\r\nHost: test\r\nAuthorization: Basic dTpw\r\n\r\n";
    let vars = Vars::of(&server.send(request).await);
    for name in [
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "REMOTE_HOST",
        "REMOTE_USER",
        "AUTH_TYPE",
        "REMOTE_IDENT",
        "PATH_TRANSLATED",
        "DOCUMENT_ROOT",
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
        // S11: without TLS none of its variables.
        "HTTPS",
        "SSL_PROTOCOL",
        "SSL_CIPHER",
    ] {
        assert_eq!(vars.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn s12_the_table_of_variables_is_what_a_guest_sees() {
    let server = dump().await;
    let least = Vars::of(&server.send("GET / HTTP/1.0\r\n\r\n").await);
    let least: BTreeSet<&str> = least
        .0
        .keys()
        .map(String::as_str)
        .filter(|name| !name.starts_with("run."))
        .collect();
    let always = VARIABLES
        .iter()
        .filter(|variable| variable.presence == Presence::Always);
    let mut expected: BTreeSet<&str> = always.map(|variable| variable.name).collect();
    expected.extend(["REMOTE_ADDR", "REMOTE_PORT"]); // Over TCP.
    assert_eq!(least, expected);

    let most = "POST / HTTP/1.1\r\nHost: test\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n";
    let most = Vars::of(&server.send(most).await);
    for name in most.0.keys().filter(|name| !name.starts_with("run.")) {
        assert!(
            VARIABLES.iter().any(|variable| variable.name == name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn s13_every_byte_of_a_request_is_one_code_point() {
    let server = dump().await;
    let mut request = b"GET /".to_vec();
    let mut path = String::from("/");
    for byte in 1..=255_u8 {
        request.extend(format!("%{byte:02x}").bytes());
        path.push(char::from(byte));
    }
    request.extend(b" HTTP/1.1\r\nHost: test\r\nX-High: a");
    let high = 0x80..=0xff_u8;
    request.extend(high.clone());
    request.extend(b"z\r\nContent-Type: \xe9\r\n\r\n");
    let value: String = "a"
        .chars()
        .chain(high.map(char::from))
        .chain("z".chars())
        .collect();
    raw::check(&server, &request, |response| {
        let vars = Vars::of(response);
        assert_eq!(vars.get("PATH_INFO"), Some(path.as_str()));
        assert_eq!(vars.get("HTTP_X_HIGH"), Some(value.as_str()));
        assert_eq!(vars.get("CONTENT_TYPE"), Some("\u{e9}"));
        let mut text = vars.0.values().flat_map(|value| value.chars());
        assert!(text.all(|character| character <= '\u{ff}'));
    })
    .await;
}

#[tokio::test]
async fn s14_the_run_flags_tell_how_the_app_runs() {
    let alone = TestApp::of("environ_dump")
        .app(|app| app.concurrency = 1)
        .serve()
        .await;
    for (server, multiprocess) in [(dump().await, "true"), (alone, "false")] {
        // An instance a request, so never two calls in one and never a second call.
        for _ in 0..2 {
            let vars = Vars::of(&server.get("/").await);
            assert_eq!(vars.get("run.multithread"), Some("false"));
            assert_eq!(vars.get("run.multiprocess"), Some(multiprocess));
            assert_eq!(vars.get("run.run-once"), Some("true"));
            assert_eq!(vars.get("run.input-terminated"), Some("true"));
            assert_eq!(vars.get("wsgi.url_scheme"), Some("http"));
        }
    }
}

#[tokio::test]
async fn s15_our_own_keys_have_our_prefix() {
    let vars = Vars::of(&dump().await.get("/").await);
    let dotted: Vec<&str> = vars
        .0
        .keys()
        .map(String::as_str)
        .filter(|name| name.contains('.') && !name.starts_with("run."))
        .collect();
    let ours = ["wasm_gw.app", "wasm_gw.mount", "wasm_gw.request_id"];
    assert_eq!(dotted, [&ours[..], &["wsgi.url_scheme"]].concat());
}

#[tokio::test]
async fn s16_a_deployers_pairs_are_added_and_replace_nothing() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let server = TestApp::of("environ_dump")
        .app(|app| {
            app.environ = vec![
                pair("myapp.region", "north"),
                pair("DOCUMENT_ROOT", "/srv"),
                pair("REQUEST_METHOD", "DELETE"),
                pair("SCRIPT_NAME", "/fake"),
                pair("REMOTE_ADDR", "192.0.2.1"),
                // Absent or there by the request alone.
                pair("HTTP_X_USER", "admin"),
                pair("CONTENT_LENGTH", "7"),
                pair("CONTENT_TYPE", "text/fake"),
                pair("wsgi.url_scheme", "https"),
                pair("wasm_gw.request_id", "0"),
            ];
        })
        .serve()
        .await;
    let response = server.get("/").await;
    let vars = Vars::of(&response);
    for (name, value) in [
        ("myapp.region", Some("north")),
        ("DOCUMENT_ROOT", Some("/srv")),
        ("REQUEST_METHOD", Some("GET")),
        ("SCRIPT_NAME", Some("")),
        ("REMOTE_ADDR", Some("127.0.0.1")),
        ("HTTP_X_USER", None),
        ("CONTENT_LENGTH", None),
        ("CONTENT_TYPE", None),
        ("wsgi.url_scheme", Some("http")),
        ("wasm_gw.request_id", Some(response.id())),
    ] {
        assert_eq!(vars.get(name), value, "{name}");
    }
}

#[tokio::test]
async fn s16_the_servers_own_environment_stays_outside() {
    let vars = Vars::of(&dump().await.get("/").await);
    let of_process: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    assert!(!of_process.is_empty());
    for name in of_process {
        assert_eq!(vars.get(&name), None, "{name}");
    }
}

#[tokio::test]
async fn s5_the_host_reads_nothing_back_from_an_environ() {
    let server = TestApp::of("environ_lies").serve().await;
    let mut client = server.connect().await;
    for (method, body) in [
        ("HEAD", ""),
        ("GET", "rewritten\n"),
        ("POST", "rewritten\n"),
    ] {
        let request = format!("{method} /here HTTP/1.1\r\nHost: test\r\n\r\n");
        client.send(request).await;
        let response = client.response(method).await;
        response.expect(200);
        assert_eq!(response.text(), body);
        assert_eq!(response.version, "HTTP/1.1");
        assert_eq!(response.header("content-length"), Some("10"));
        assert_eq!(response.id().len(), 32);
        let line = server.access_log_of(response.id()).await;
        let told = format!("\"{method} /here HTTP/1.1\" 200 {} ", body.len());
        assert!(
            line.starts_with("127.0.0.1 ") && line.contains(&told),
            "{line}"
        );
    }
}

#[tokio::test]
async fn s5_an_app_may_change_its_environ() {
    let response = TestApp::of("environ_edits").get("/").await;
    response.expect(200);
    let expected = r#"set: ok
get: Some("one")
set again: ok
get again: Some("two")
set empty: ok
get empty: Some("")
set latin-1: ok
get latin-1: Some("éÿ")
set not latin-1: refused
set name not latin-1: refused
set no name: refused
set name with =: refused
set name with NUL: refused
set too long: refused
get too long: refused
removed: None
case: None
set in copy: ok
copy: Some("1")
original: None
copy method: Some("GET")
copy input: "other"
replaced line: "replaced\n"
replaced rest: "body"
own: [("A", "1")]
own flags: true
own input: ""
many: 0
"#;
    assert_eq!(response.text(), expected);
}
