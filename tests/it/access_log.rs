//! The lines of the access log: what they tell, and that nothing a client sends can forge one.

use serde_json::Value;
use wasm_gw_tests::{TestApp, raw};

/// The fields of a combined line: those in quotes as they stand, the date apart.
fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = match rest.as_bytes()[0] {
            b'"' => "\"",
            b'[' => "]",
            _ => " ",
        };
        let body = if end == " " { rest } else { &rest[1..] };
        let (field, after) = body.split_once(end).unwrap_or((body, ""));
        fields.push(field);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    fields
}

#[tokio::test]
async fn a_combined_line_tells_of_a_request_and_its_answer() {
    let server = TestApp::of("hello").serve().await;
    let request = "GET /a%20b?c=d HTTP/1.1\r\nHost: test\r\nReferer: http://from/?x=y z\r\n\
                   User-Agent: Test/1.0 (x; y)\r\n\r\n";
    let response = server.send(request).await;
    let line = server.access_log_of(response.id()).await;
    let fields = fields(&line);
    let (date, wall, cpu) = (fields[3], fields[10], fields[11]);
    let expected = [
        "127.0.0.1",
        "-",
        "-",
        date,
        "GET /a%20b?c=d HTTP/1.1",
        "200",
        "13",
        "http://from/?x=y z",
        "Test/1.0 (x; y)",
        response.id(),
        wall,
        cpu,
    ];
    assert_eq!(fields, expected);
    let shape: String = date
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    assert!(
        shape.starts_with("00/") && shape.ends_with("/0000:00:00:00 +0000"),
        "{date}"
    );
    for time in [wall, cpu] {
        assert!(time.parse::<f64>().unwrap() >= 0.0, "{line}");
        assert_eq!(time.split_once('.').unwrap().1.len(), 3, "{line}");
    }

    // What is absent is a hyphen; the bytes are those of the body, without its framing.
    let mut client = server.connect().await;
    client.send("HEAD / HTTP/1.0\r\n\r\n").await;
    let response = client.response("HEAD").await;
    let line = server.access_log_of(response.id()).await;
    assert!(
        line.contains(" \"HEAD / HTTP/1.0\" 200 0 \"-\" \"-\" "),
        "{line}"
    );
}

#[tokio::test]
async fn nothing_that_a_client_sends_breaks_a_line() {
    let server = TestApp::of("hello").serve().await;
    let request = b"GET /\"\\%0a?\xc3\xa9 HTTP/1.1\r\nHost: test\r\nReferer: \"\t\\\r\n\
                    User-Agent: a\" 200 5 \"\xe9\xff\r\n\r\n";
    for (_, response) in raw::answers(&server, request).await {
        let line = server.access_log_of(response.id()).await;
        let expected = "\"GET /\\x22\\x5c%0a?\\xc3\\xa9 HTTP/1.1\" 200 13 \"\\x22\\x09\\x5c\" \
                        \"a\\x22 200 5 \\x22\\xe9\\xff\" ";
        assert!(line.contains(expected), "{line}");
    }
    let odd = b"BAD\x1b[31m /\"x HTTP/1.1\r\n\r\n";
    let response = server.send(&odd[..]).await;
    response.expect(400);
    let line = server.access_log_of(response.id()).await;
    assert!(
        line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{line}"
    );
    assert_eq!(line.matches('"').count(), 6, "{line}");
}

#[tokio::test]
async fn a_json_line_is_an_object_with_the_same() {
    let server = TestApp::of("echo").json_log().serve().await;
    let request = b"POST /\"?\xc3\xa9 HTTP/1.1\r\nHost: test\r\nUser-Agent: \"\\\t\xff\r\n\
                    Content-Length: 3\r\n\r\nabc";
    let response = server.send(&request[..]).await;
    let line = server.access_log_of(response.id()).await;
    assert!(line.is_ascii());
    let mut line: Value = serde_json::from_str(&line).unwrap();
    let object = line.as_object_mut().unwrap();
    let time = object.remove("time").unwrap();
    let wall = object.remove("wall_ms").unwrap();
    let cpu = object.remove("cpu_ms").unwrap();
    let expected = serde_json::json!({
        "remote": "127.0.0.1",
        "method": "POST",
        "target": "/\"?\u{c3}\u{a9}",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 3,
        "referer": null,
        "user_agent": "\"\\\t\u{ff}",
        "request_id": response.id(),
        "aborted": false,
    });
    assert_eq!(line, expected);
    let time = time.as_str().unwrap();
    assert!(
        time.len() == 24 && &time[10..11] == "T" && time.ends_with('Z'),
        "{time}"
    );
    for time in [wall, cpu] {
        assert!(time.as_f64().unwrap() >= 0.0, "{time}");
    }
}
