//! One line a request, at the end of its answer, and nothing a client sends breaks it.

use std::io;

use wasm_gw_http::{AccessLog, AccessLogFormat, HttpConfig};

use crate::support::{TestServer, post};

#[test]
fn a_combined_line_has_its_fields() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(
        "GET /hello?a=b HTTP/1.1\r\nHost: x\r\nReferer: http://r/\r\nUser-Agent: test/1\r\n\r\n",
    );
    let id = client.answer().field("x-request-id").unwrap().to_owned();
    // The connection is still open.
    let line = server.log.lines(1).remove(0);
    let (front, rest) = line.split_once("] ").unwrap();
    let (remote, date) = front.split_once(" - - [").unwrap();
    assert_eq!(remote, "127.0.0.1");
    let shape: String = date
        .chars()
        .map(|c| match c {
            '0'..='9' => '0',
            'A'..='Z' => 'A',
            'a'..='z' => 'a',
            other => other,
        })
        .collect();
    assert_eq!(shape, "00/Aaa/0000:00:00:00 +0000");
    let expected = format!("\"GET /hello?a=b HTTP/1.1\" 200 5 \"http://r/\" \"test/1\" {id} ");
    let times = rest
        .strip_prefix(&expected)
        .unwrap_or_else(|| panic!("{rest}"));
    let (wall, cpu) = times.split_once(' ').unwrap();
    assert!(wall.parse::<f64>().unwrap() < 10_000.0);
    assert_eq!(cpu, "0.000");
}

#[test]
fn nothing_breaks_out_of_a_combined_line() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(
        b"GET /a\"b\\c HTTP/1.1\r\nHost: x\r\nReferer: \" 200 \"\r\nUser-Agent: \t\xff\\\r\n\r\n",
    );
    client.answer();
    client.send("GET /\u{e9} HTTP/1.0\r\n\r\n").answer();
    let lines = server.log.lines(2);
    assert!(
        lines[0]
            .contains("\"GET /a\\x22b\\x5cc HTTP/1.1\" 404 9 \"\\x22 200 \\x22\" \"\\xff\\x5c\" "),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("\"GET /\\xc3\\xa9 HTTP/1.0\" 404"),
        "{}",
        lines[1]
    );
}

#[test]
fn long_fields_are_cut() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(format!(
        "GET /{} HTTP/1.1\r\nHost: x\r\nUser-Agent: {}\r\nReferer: {}\r\n\r\n",
        "a".repeat(5000),
        "b".repeat(5000),
        "c".repeat(512)
    ));
    client.answer();
    let line = &server.log.lines(1)[0];
    assert!(line.contains(&format!("\"GET /{}... HTTP/1.1\"", "a".repeat(2047))));
    assert!(line.contains(&format!("\"{}...\"", "b".repeat(512))));
    assert!(line.contains(&format!("\"{}\"", "c".repeat(512))));
}

#[test]
fn json_lines_are_json() {
    let server = TestServer::logging(AccessLogFormat::Json, HttpConfig::default());
    let mut client = server.connect();
    client.send(
        b"POST /echo?\xc3\xa9 HTTP/1.1\r\nHost: x\r\nReferer: \"\\\t\xff\r\nContent-Length: 2\r\n\r\nab",
    );
    let id = client.answer().field("x-request-id").unwrap().to_owned();
    client.send("bad\r\n\r\n").answer();
    let lines = server.log.lines(2);
    assert!(lines.iter().all(|line| line.is_ascii()));
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["remote"], "127.0.0.1");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["target"], "/echo?\u{c3}\u{a9}");
    assert_eq!(line["protocol"], "HTTP/1.1");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], 2);
    assert_eq!(line["referer"], "\"\\\t\u{ff}");
    assert_eq!(line["user_agent"], serde_json::Value::Null);
    assert_eq!(line["request_id"], *id);
    assert!(line["wall_ms"].as_f64().unwrap() >= 0.0);
    assert_eq!(line["cpu_ms"], 0.0);
    assert_eq!(line["aborted"], false);
    let time = line["time"].as_str().unwrap();
    assert_eq!(time.len(), "2026-11-24T08:54:50.123Z".len());
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert_eq!(line.as_object().unwrap().len(), 13);

    let line: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(line["status"], 400);
    assert_eq!(line["protocol"], serde_json::Value::Null);
    assert_eq!(line["cpu_ms"], 0.0);
    assert_eq!(line.as_object().unwrap().len(), 13);
}

/// What a combined line says behind the wall time.
fn behind_wall(line: &str) -> &str {
    let behind_quotes = line.rsplit_once("\" ").unwrap().1;
    behind_quotes.splitn(3, ' ').nth(2).unwrap()
}

#[test]
fn a_line_has_the_processor_time_of_its_own_request() {
    for format in [AccessLogFormat::Combined, AccessLogFormat::Json] {
        let server = TestServer::logging(format, HttpConfig::default());
        let mut client = server.connect();
        // 1.25 ms before the head, and as much after it.
        assert_eq!(client.get("/work?1250").text(), "head and body");
        assert_eq!(client.get("/hello").text(), "hello");
        // Refused before the service, by us and by hyper.
        client.send("BREW / HTTP/1.1\r\nHost: x\r\n\r\n").answer();
        client.send("bad\r\n\r\n").answer();
        let lines = server.log.lines(4);
        for (line, cpu) in lines.iter().zip(["2.500", "0.000", "0.000", "0.000"]) {
            if format == AccessLogFormat::Combined {
                assert_eq!(behind_wall(line), cpu, "{line}");
            } else {
                let expected = format!(",\"cpu_ms\":{cpu},\"aborted\":false}}");
                assert!(line.ends_with(&expected), "{line}");
            }
        }
    }
}

#[test]
fn a_client_that_leaves_early_shows_what_it_has_cost() {
    for format in [AccessLogFormat::Combined, AccessLogFormat::Json] {
        let server = TestServer::logging(format, HttpConfig::default());
        let mut client = server.connect();
        client.send("GET /work-on?12345678 HTTP/1.1\r\nHost: x\r\n\r\n");
        server.events.wait("worked");
        drop(client);
        let line = &server.log.lines(1)[0];
        if format == AccessLogFormat::Combined {
            assert!(line.contains(" 499 0 "), "{line}");
            assert_eq!(behind_wall(line), "12345.678 aborted");
        } else {
            assert!(line.contains("\"status\":499,"), "{line}");
            assert!(
                line.ends_with(",\"cpu_ms\":12345.678,\"aborted\":true}"),
                "{line}"
            );
        }
    }
}

/// A sink that is gone.
struct Broken;

impl io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_sink_that_is_gone_does_not_stop_the_server() {
    let server = TestServer::with(HttpConfig {
        access_log: Some(AccessLog::new(AccessLogFormat::Combined, Broken)),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    for _ in 0..10 {
        assert_eq!(client.get("/hello").text(), "hello");
    }
    drop(client);
    server.stop();
}

/// A sink that takes nothing until it is let go.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_is_stuck_does_not_stop_the_server() {
    let (release, stuck) = std::sync::mpsc::channel();
    let server = TestServer::with(HttpConfig {
        access_log: Some(AccessLog::new(AccessLogFormat::Combined, Stuck(stuck))),
        ..HttpConfig::default()
    });
    let mut client = server.connect();
    // Some 2 KiB a line: more than the queue holds.
    let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(2048));
    for _ in 0..20 {
        client.send(request.repeat(50));
        for _ in 0..50 {
            assert_eq!(client.answer().status, 404);
        }
    }
    drop(release);
    drop(client);
    server.stop();
}

#[test]
fn the_last_lines_are_written_before_serve_returns() {
    let server = TestServer::start();
    let log = server.log.clone();
    server.connect().send(post("/echo", "x")).answer();
    server.stop();
    assert_eq!(log.lines(1).len(), 1);
}
