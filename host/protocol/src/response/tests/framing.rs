//! How much is sent, and how its end is told: S40 to S47, protocol 1.5.

use super::*;

#[test]
fn s40_one_block_is_the_content_length_unless_write_was_used() {
    let mut exchange = set(GET, "200 OK", &[]);
    assert_eq!(
        exchange.whole(bytes("hello")).map(show).as_deref(),
        Ok("head 200 len=5 known | hello")
    );
    assert!(!exchange.wants_more());

    for written in ["", "a"] {
        let mut exchange = set(GET, "200 OK", &[]);
        let first = show(exchange.write(bytes(written)).expect("written"));
        assert!(first.starts_with("head 200 chunked"), "{first}");
        assert_eq!(
            exchange.whole(bytes("hello")).map(show).as_deref(),
            Ok("| hello")
        );
    }

    let mut exchange = set(GET_1_0, "200 OK", &[]);
    assert_eq!(
        exchange.whole(bytes("hi")).map(show).as_deref(),
        Ok("head 200 len=2 known | hi")
    );
}

#[test]
fn s45_blocks_beyond_the_content_length_are_cut_off() {
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    assert_eq!(
        exchange.block(bytes("ab")).map(show).as_deref(),
        Ok("head 200 len=3 known | ab")
    );
    assert!(exchange.wants_more());
    assert_eq!(exchange.block(bytes("cde")).map(show).as_deref(), Ok("| c"));
    assert!(!exchange.wants_more());
    assert_eq!(exchange.block(bytes("f")).map(show).as_deref(), Ok(""));
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
    assert_eq!(
        exchange.take_notices(),
        [Notice::Truncated { announced: 3 }]
    );
    assert_eq!(exchange.take_notices(), []);

    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    assert_eq!(
        exchange.whole(bytes("abcd")).map(show).as_deref(),
        Ok("head 200 len=3 known | abc")
    );
    assert_eq!(
        exchange.take_notices(),
        [Notice::Truncated { announced: 3 }]
    );
}

#[test]
fn s45_reaching_the_content_length_exactly_is_no_notice() {
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    assert_eq!(
        exchange.block(bytes("abc")).map(show).as_deref(),
        Ok("head 200 len=3 known | abc")
    );
    assert!(!exchange.wants_more());
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
    assert_eq!(exchange.take_notices(), []);
}

#[test]
fn s45_a_content_length_of_0_sends_the_head_alone() {
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "0")]);
    assert!(
        exchange.wants_more(),
        "the application may still change its mind"
    );
    assert_eq!(
        exchange.block(bytes("a")).map(show).as_deref(),
        Ok("head 200 len=0 known")
    );
    assert!(!exchange.wants_more());
    assert_eq!(
        exchange.take_notices(),
        [Notice::Truncated { announced: 0 }]
    );
}

#[test]
fn s45_a_write_that_does_not_fit_is_refused_whole() {
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    assert_eq!(
        exchange.write(bytes("abcd")).err(),
        Some(WriteError::ContentLengthExceeded)
    );
    assert!(!exchange.head_sent(), "nothing of it was sent");
    assert_eq!(
        exchange.write(bytes("ab")).map(show).as_deref(),
        Ok("head 200 len=3 known | ab")
    );
    assert_eq!(
        exchange.write(bytes("cd")).err(),
        Some(WriteError::ContentLengthExceeded)
    );
    assert_eq!(exchange.write(bytes("c")).map(show).as_deref(), Ok("| c"));
    assert_eq!(exchange.write(Bytes::new()).map(show).as_deref(), Ok(""));
    assert_eq!(
        exchange.write(bytes("d")).err(),
        Some(WriteError::ContentLengthExceeded)
    );
    assert_eq!(exchange.empty().map(show).as_deref(), Ok(""));
}

#[test]
fn s46_too_little_is_broken() {
    let short = |announced, sent| Some(Broken::TooShort { announced, sent });
    // Sent already: the transfer must be cut.
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    let _head = exchange.block(bytes("ab")).expect("a block");
    assert_eq!(exchange.finish().err(), short(3, 2));
    assert!(exchange.head_sent() && exchange.is_aborted());
    // Not sent yet: still time for an error page.
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    assert_eq!(exchange.finish().err(), short(3, 0));
    assert!(!exchange.head_sent());
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    assert_eq!(exchange.whole(bytes("ab")).err(), short(3, 2));
    assert!(!exchange.head_sent());
    // Written and returned bytes count together.
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    let _head = exchange.write(bytes("a")).expect("written");
    assert_eq!(exchange.whole(bytes("b")).err(), short(3, 2));
    let mut exchange = set(GET, "200 OK", &[("Content-Length", "3")]);
    let _head = exchange.write(bytes("a")).expect("written");
    assert_eq!(exchange.whole(bytes("bc")).map(show).as_deref(), Ok("| bc"));
}

#[test]
fn s47_nothing_sent_is_content_length_0() {
    assert_eq!(
        set(GET, "200 OK", &[]).empty().map(show).as_deref(),
        Ok("head 200 len=0 known")
    );
    assert_eq!(
        set(GET, "200 OK", &[]).finish().map(show).as_deref(),
        Ok("head 200 len=0 known")
    );
    let mut exchange = set(GET, "200 OK", &[]);
    let _nothing = exchange.block(Bytes::new()).expect("an empty block");
    assert_eq!(
        exchange.finish().map(show).as_deref(),
        Ok("head 200 len=0 known")
    );
}

#[test]
fn s47_an_unknown_length_is_chunked_or_close_delimited() {
    let check = |version: Version, shown: &str| {
        let kind = RequestKind {
            head: false,
            version,
        };
        let mut exchange = set(kind, "200 OK", &[]);
        assert_eq!(exchange.block(bytes("a")).map(show).as_deref(), Ok(shown));
    };
    check(Version::HTTP_10, "head 200 close | a");
    check(Version::HTTP_11, "head 200 chunked | a");
    check(Version::HTTP_2, "head 200 chunked | a");
    let mut exchange = set(GET_1_0, "200 OK", &[("Content-Length", "1")]);
    assert_eq!(
        exchange.block(bytes("a")).map(show).as_deref(),
        Ok("head 200 len=1 known | a")
    );
}

#[test]
fn r1_5_head_has_the_fields_of_get_and_no_body() {
    let check = |fields: Fields<'_>, body: &'static str, shown: &str| {
        let mut exchange = set(HEAD, "200 OK", fields);
        assert_eq!(
            exchange.whole(bytes(body)).map(show).as_deref(),
            Ok(shown),
            "{fields:?}"
        );
        assert_eq!(exchange.take_notices(), []);
        assert_eq!(exchange.body_sent(), 0);
    };
    check(&[], "hello", "head 200 len=5 none");
    check(&[("Content-Length", "9")], "hello", "head 200 len=9 none");
    check(&[("Content-Length", "3")], "hello", "head 200 len=3 none");
    // An empty body says nothing about what GET would have sent.
    check(&[], "", "head 200 none");
    check(&[("Content-Length", "9")], "", "head 200 len=9 none");

    let mut exchange = set(HEAD, "200 OK", &[]);
    assert!(exchange.wants_more());
    assert_eq!(
        exchange.block(bytes("a")).map(show).as_deref(),
        Ok("head 200 none")
    );
    assert!(!exchange.wants_more());
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));

    let mut exchange = set(HEAD, "200 OK", &[("Content-Length", "1")]);
    assert_eq!(
        exchange.write(bytes("abc")).map(show).as_deref(),
        Ok("head 200 len=1 none")
    );
    assert_eq!(exchange.write(bytes("abc")).map(show).as_deref(), Ok(""));
    assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
}

#[test]
fn r1_5_204_and_304_have_no_body() {
    let check = |status: &str, fields: Fields<'_>, shown: &str| {
        let code = StatusCode::from_bytes(&status.as_bytes()[..3]).expect("a code");
        let mut exchange = set(GET, status, fields);
        assert_eq!(
            exchange.block(bytes("a")).map(show).as_deref(),
            Ok(shown),
            "{status}"
        );
        assert_eq!(exchange.block(bytes("b")).map(show).as_deref(), Ok(""));
        assert!(!exchange.wants_more());
        assert_eq!(exchange.finish().map(show).as_deref(), Ok(""));
        assert_eq!(exchange.take_notices(), [Notice::BodyDropped(code)], "once");
        for body in ["", "abc"] {
            let mut exchange = set(GET, status, fields);
            assert_eq!(
                exchange.whole(bytes(body)).map(show).as_deref(),
                Ok(shown),
                "{status}"
            );
            assert_eq!(exchange.take_notices().len(), body.len().min(1));
        }
    };
    check("204 No Content", &[], "head 204 none");
    check(
        "204 No Content",
        &[("Content-Length", "1")],
        "head 204 none",
    );
    check("304 Not Modified", &[], "head 304 none");
    check(
        "304 Not Modified",
        &[("Content-Length", "7")],
        "head 304 len=7 none",
    );
}
