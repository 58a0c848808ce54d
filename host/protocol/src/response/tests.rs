//! The state machine of `start-response`: protocol 1.1 (S26 to S50), 1.5.
//! The checks of 1.4 have their tests beside them, in `check`.

mod framing;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, SERVER};
use http::{HeaderValue, StatusCode, Version};

use super::*;

const GET: RequestKind = RequestKind {
    head: false,
    version: Version::HTTP_11,
};
const GET_1_0: RequestKind = RequestKind {
    head: false,
    version: Version::HTTP_10,
};
const HEAD: RequestKind = RequestKind {
    head: true,
    version: Version::HTTP_11,
};

type Fields<'a> = &'a [(&'a str, &'a str)];

fn idle(kind: RequestKind) -> Exchange {
    Exchange::new(kind, ResponseLimits::default(), None)
}

fn start(exchange: &mut Exchange, status: &str, fields: Fields<'_>) -> Result<(), StartError> {
    exchange.start(status, fields.iter().copied(), false)
}

fn restart(exchange: &mut Exchange, status: &str, fields: Fields<'_>) -> Result<(), StartError> {
    exchange.start(status, fields.iter().copied(), true)
}

fn set(kind: RequestKind, status: &str, fields: Fields<'_>) -> Exchange {
    let mut exchange = idle(kind);
    start(&mut exchange, status, fields).expect("a good start");
    exchange
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// A step in one line: `head 200 len=5 known | hello`.
fn show(send: Send) -> String {
    let (head, block) = send.into_parts();
    let mut words = Vec::new();
    if let Some(head) = head {
        words.push(format!("head {}", head.parts.status.as_u16()));
        if let Some(length) = head.parts.headers.get(CONTENT_LENGTH) {
            words.push(format!("len={}", length.to_str().expect("digits")));
        }
        let framing = match head.length {
            Length::Known(_) => "known",
            Length::Unknown if head.close_delimited => "close",
            Length::Unknown => "chunked",
            Length::None => "none",
        };
        words.push(framing.to_owned());
        if let Length::Known(length) = head.length {
            assert_eq!(head.parts.headers[CONTENT_LENGTH], length.to_string());
        }
    }
    if let Some(block) = block {
        assert!(!block.is_empty(), "an empty block would end a chunked body");
        words.push(format!("| {}", String::from_utf8_lossy(&block)));
    }
    words.join(" ")
}

fn head_of(send: Send) -> Head {
    send.into_parts().0.expect("a head")
}

#[test]
fn s26_start_sends_nothing_and_the_first_non_empty_block_brings_the_head() {
    let mut exchange = set(GET, "200 OK", &[]);
    assert!(!exchange.head_sent());
    assert_eq!(exchange.block(Bytes::new()).map(show), Ok(String::new()));
    assert!(!exchange.head_sent(), "an empty block flushes nothing");
    assert_eq!(
        exchange.block(bytes("a")).map(show).as_deref(),
        Ok("head 200 chunked | a")
    );
    assert!(exchange.head_sent());
    assert_eq!(exchange.block(bytes("b")).map(show).as_deref(), Ok("| b"));
    assert_eq!(exchange.block(Bytes::new()).map(show).as_deref(), Ok(""));
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
    assert_eq!(exchange.body_sent(), 2);
}

#[test]
fn s26_an_empty_write_sends_the_head() {
    let mut exchange = set(GET, "200 OK", &[]);
    assert_eq!(
        exchange.write(Bytes::new()).map(show).as_deref(),
        Ok("head 200 chunked")
    );
    assert_eq!(exchange.write(Bytes::new()).map(show).as_deref(), Ok(""));
    assert_eq!(
        restart(&mut exchange, "500 X", &[]),
        Err(StartError::HeadersSent)
    );
}

#[test]
fn s27_exc_info_replaces_status_and_all_fields() {
    let mut exchange = set(GET, "200 Fine", &[("A", "1"), ("Content-Length", "9")]);
    restart(&mut exchange, "500 Oops", &[("B", "2")]).expect("not sent yet");
    assert_eq!(exchange.started(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    let head = head_of(exchange.block(bytes("x")).expect("a block"));
    assert_eq!(head.parts.status, 500);
    assert_eq!(head.parts.headers.len(), 1);
    assert_eq!(head.parts.headers["b"], "2");
    assert_eq!(head.parts.extensions.get(), Some(&Reason(bytes("Oops"))));
    assert_eq!(head.length, Length::Unknown);
}

#[test]
fn s27_exc_info_is_accepted_on_the_first_call_too() {
    let mut exchange = idle(GET);
    assert_eq!(restart(&mut exchange, "500 X", &[]), Ok(()));
    assert_eq!(
        start(&mut exchange, "200 OK", &[]),
        Err(StartError::AlreadyStarted)
    );
}

#[test]
fn s28_exc_info_after_the_head_was_sent_aborts() {
    let mut exchange = set(GET, "200 OK", &[]);
    let _head = exchange.write(bytes("a")).expect("written");
    // Whatever the call says: it is not looked at.
    assert_eq!(
        restart(&mut exchange, "nonsense", &[]),
        Err(StartError::HeadersSent)
    );
    assert!(exchange.is_aborted() && !exchange.wants_more());
    assert_eq!(exchange.write(bytes("b")).err(), Some(WriteError::Aborted));
    assert_eq!(exchange.block(bytes("b")).err(), Some(Broken::Aborted));
    assert_eq!(exchange.whole(bytes("b")).err(), Some(Broken::Aborted));
    assert_eq!(exchange.empty().err(), Some(Broken::Aborted));
    assert_eq!(exchange.finish().err(), Some(Broken::Aborted));
    assert_eq!(
        restart(&mut exchange, "500 X", &[]),
        Err(StartError::HeadersSent)
    );
}

#[test]
fn s28_a_complete_response_is_not_spoiled_by_what_comes_after() {
    let mut exchange = set(GET, "200 OK", &[]);
    assert_eq!(
        exchange.whole(bytes("a")).map(show).as_deref(),
        Ok("head 200 len=1 known | a")
    );
    assert_eq!(
        restart(&mut exchange, "500 X", &[]),
        Err(StartError::HeadersSent)
    );
    exchange.abort();
    assert!(!exchange.is_aborted());
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
    assert_eq!(exchange.block(bytes("late")).map(show).as_deref(), Ok(""));
}

#[test]
fn s29_second_start_without_exc_info_is_refused() {
    let mut exchange = set(GET, "200 OK", &[]);
    assert_eq!(
        start(&mut exchange, "201 X", &[]),
        Err(StartError::AlreadyStarted)
    );
    // The first one stands.
    assert_eq!(
        exchange.block(bytes("a")).map(show).as_deref(),
        Ok("head 200 chunked | a")
    );
    assert_eq!(
        start(&mut exchange, "201 X", &[]),
        Err(StartError::AlreadyStarted)
    );
    assert!(!exchange.is_aborted(), "no exc-info, no abort");
}

#[test]
fn s30_after_a_bad_first_start_only_exc_info_is_accepted() {
    let bad: [(&str, Fields<'_>, StartError); 3] = [
        ("200", &[], StartError::BadStatus("200".into())),
        (
            "200 OK",
            &[("A B", "")],
            StartError::BadHeaderName("A B".into()),
        ),
        ("200 OK", &[("Te", "")], StartError::HopByHop("Te".into())),
    ];
    for (status, fields, error) in bad {
        let mut exchange = idle(GET);
        assert_eq!(start(&mut exchange, status, fields), Err(error));
        assert_eq!(
            start(&mut exchange, "200 OK", &[]),
            Err(StartError::AlreadyStarted)
        );
        assert_eq!(exchange.block(bytes("a")).err(), Some(Broken::NotStarted));
        assert_eq!(restart(&mut exchange, "500 X", &[]), Ok(()));
        assert_eq!(
            exchange.whole(Bytes::new()).map(show).as_deref(),
            Ok("head 500 len=0 known")
        );
    }
}

#[test]
fn s30_a_failed_replacement_leaves_no_head_behind() {
    let mut exchange = set(GET, "200 OK", &[]);
    assert!(restart(&mut exchange, "500", &[]).is_err());
    assert_eq!(exchange.started(), None);
    assert_eq!(exchange.write(bytes("a")).err(), Some(WriteError::Aborted));
    assert_eq!(exchange.finish().err(), Some(Broken::NotStarted));
    assert_eq!(restart(&mut exchange, "500 X", &[]), Ok(()));
    assert_eq!(
        exchange.finish().map(show).as_deref(),
        Ok("head 500 len=0 known")
    );
}

#[test]
fn s34_server_is_added_and_an_own_server_and_date_stay() {
    let ours = || Some(HeaderValue::from_static("wasm-gw"));
    let head = |fields: Fields<'_>, server| {
        let mut exchange = Exchange::new(GET, ResponseLimits::default(), server);
        start(&mut exchange, "200 OK", fields).expect("a good start");
        head_of(exchange.finish().expect("a head")).parts.headers
    };
    assert_eq!(head(&[], ours())[SERVER], "wasm-gw");
    assert!(!head(&[], None).contains_key(SERVER));
    let fields = head(&[("Server", "mine"), ("Date", "today")], ours());
    assert_eq!(fields.get_all(SERVER).iter().collect::<Vec<_>>(), ["mine"]);
    assert_eq!(fields[DATE], "today");
    assert!(
        !head(&[], ours()).contains_key(DATE),
        "the HTTP server's business"
    );
}

#[test]
fn s42_start_may_come_during_the_iteration() {
    let mut exchange = idle(GET);
    exchange.returned();
    exchange.iteration_began();
    assert_eq!(exchange.block(Bytes::new()).map(show).as_deref(), Ok(""));
    assert!(exchange.wants_more());
    start(&mut exchange, "200 OK", &[]).expect("late but fine");
    assert_eq!(
        exchange.block(bytes("a")).map(show).as_deref(),
        Ok("head 200 chunked | a")
    );
}

#[test]
fn s44_a_body_without_start_is_broken() {
    let not_started = |send: Result<Send, Broken>| assert_eq!(send.err(), Some(Broken::NotStarted));
    not_started(idle(GET).block(bytes("a")));
    not_started(idle(GET).whole(bytes("a")));
    not_started(idle(GET).whole(Bytes::new()));
    not_started(idle(GET).empty());
    not_started(idle(GET).finish());
    not_started(idle(HEAD).block(bytes("a")));
    assert!(!idle(GET).head_sent());
}

#[test]
fn s49_a_writer_before_any_start_writes_nothing() {
    assert_eq!(idle(GET).write(bytes("a")).err(), Some(WriteError::Aborted));
}

#[test]
fn s50_written_blocks_precede_returned_ones() {
    let mut exchange = set(GET, "200 OK", &[]);
    let mut sent = show(exchange.write(bytes("1")).expect("written"));
    sent += &show(exchange.write(bytes("2")).expect("written"));
    exchange.returned();
    sent += &show(exchange.block(bytes("3")).expect("a block"));
    assert_eq!(sent, "head 200 chunked | 1| 2| 3");
}

#[test]
fn a13_write_is_refused_once_the_iteration_began() {
    let mut exchange = set(GET, "200 OK", &[]);
    exchange.returned();
    assert!(
        exchange.write(bytes("a")).is_ok(),
        "returned, but not iterated yet"
    );
    exchange.iteration_began();
    assert_eq!(
        exchange.write(bytes("b")).err(),
        Some(WriteError::BodyStarted)
    );
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
    assert_eq!(
        exchange.write(bytes("c")).err(),
        Some(WriteError::BodyStarted)
    );
}

#[test]
fn r1_4_1_the_order_of_states() {
    // The client is gone: only after already-started and headers-sent were ruled out.
    let mut exchange = idle(GET);
    exchange.disconnect();
    assert_eq!(
        start(&mut exchange, "200 OK", &[]),
        Err(StartError::Disconnected)
    );
    let mut exchange = set(GET, "200 OK", &[]);
    exchange.disconnect();
    assert_eq!(
        start(&mut exchange, "200 OK", &[]),
        Err(StartError::AlreadyStarted)
    );
    assert_eq!(
        restart(&mut exchange, "200 OK", &[]),
        Err(StartError::Disconnected)
    );
    let mut exchange = set(GET, "200 OK", &[]);
    let _head = exchange.write(bytes("a")).expect("written");
    exchange.disconnect();
    assert_eq!(
        restart(&mut exchange, "200 OK", &[]),
        Err(StartError::HeadersSent)
    );
    assert_eq!(
        exchange.write(bytes("a")).err(),
        Some(WriteError::Disconnected)
    );
    assert_eq!(exchange.block(bytes("a")).err(), Some(Broken::Aborted));
    assert!(!exchange.wants_more());
}

#[test]
fn r1_4_3_a_status_from_600_is_noticed() {
    let check = |status: &str, notices: &[Notice]| {
        let mut exchange = set(GET, status, &[]);
        assert_eq!(exchange.take_notices(), notices, "{status}");
    };
    check("599 X", &[]);
    check("600 X", &[Notice::UnusualStatus(600)]);
    check("999 X", &[Notice::UnusualStatus(999)]);
}

#[test]
fn an_abort_before_the_head_ends_all() {
    let mut exchange = set(GET, "200 OK", &[]);
    exchange.abort();
    assert_eq!(exchange.write(bytes("a")).err(), Some(WriteError::Aborted));
    assert_eq!(exchange.finish().err(), Some(Broken::Aborted));
    assert_eq!(
        restart(&mut exchange, "500 X", &[]),
        Err(StartError::Disconnected)
    );
    assert!(!exchange.head_sent());
}
