//! Whatever an application does in whatever order: what is sent is a valid response, or
//! the host was told that there is none.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Version};
use proptest::prelude::*;
use wasm_gw_protocol::*;

#[derive(Clone, Debug)]
enum Op {
    Start {
        status: String,
        length: Option<u64>,
        exc_info: bool,
    },
    Write(Vec<u8>),
    Returned,
    IterationBegan,
    Block(Vec<u8>),
    Whole(Vec<u8>),
    Empty,
    Finish,
    Abort,
    Disconnect,
}

fn op() -> impl Strategy<Value = Op> {
    let data = || prop::collection::vec(any::<u8>(), 0..5);
    let status = prop_oneof![
        8 => Just("200 OK"),
        1 => Just("204 No Content"),
        1 => Just("304 X"),
        1 => Just("200"),
        1 => Just("101 X"),
        1 => Just("999 X"),
    ];
    prop_oneof![
        6 => (status, prop::option::of(0u64..8), any::<bool>()).prop_map(
            |(status, length, exc_info)| Op::Start {
                status: status.to_owned(),
                length,
                exc_info,
            }
        ),
        5 => data().prop_map(Op::Write),
        1 => Just(Op::Returned),
        1 => Just(Op::IterationBegan),
        6 => data().prop_map(Op::Block),
        1 => data().prop_map(Op::Whole),
        1 => Just(Op::Empty),
        2 => Just(Op::Finish),
        1 => Just(Op::Abort),
        1 => Just(Op::Disconnect),
    ]
}

/// What a client would see.
#[derive(Default)]
struct Client {
    length: Option<Length>,
    content_length: Option<u64>,
    body: Vec<u8>,
}

impl Client {
    fn receive(&mut self, send: Send, kind: RequestKind) -> Result<(), TestCaseError> {
        let (head, block) = send.into_parts();
        if let Some(head) = head {
            prop_assert!(self.length.is_none(), "a second head");
            let field = head.parts.headers.get(CONTENT_LENGTH);
            self.content_length = field.and_then(|v| v.to_str().ok()?.parse().ok());
            prop_assert_eq!(field.is_some(), self.content_length.is_some());
            let code = head.parts.status.as_u16();
            prop_assert!((200..=999).contains(&code));
            let bodiless = kind.head || code == 204 || code == 304;
            prop_assert_eq!(head.length == Length::None, bodiless);
            prop_assert!(code != 204 || field.is_none());
            if let Length::Known(length) = head.length {
                prop_assert_eq!(Some(length), self.content_length);
            }
            if head.length == Length::Unknown {
                prop_assert_eq!(self.content_length, None);
            }
            self.length = Some(head.length);
        }
        if let Some(block) = block {
            prop_assert!(!block.is_empty(), "an empty block");
            prop_assert!(self.length.is_some(), "a block before the head");
            prop_assert!(
                self.length != Some(Length::None),
                "a body where there is none"
            );
            self.body.extend_from_slice(&block);
            if let Some(length) = self.content_length {
                prop_assert!(self.body.len() as u64 <= length, "more than was announced");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_order_of_calls_gives_one_valid_response_or_none(
        head in prop::bool::weighted(0.2),
        http_1_0 in prop::bool::weighted(0.2),
        ops in prop::collection::vec(op(), 0..14),
    ) {
        let kind = RequestKind {
            head,
            version: if http_1_0 { Version::HTTP_10 } else { Version::HTTP_11 },
        };
        let server = Some(HeaderValue::from_static("wasm-gw"));
        let mut exchange = Exchange::new(kind, ResponseLimits::default(), server);
        let mut client = Client::default();
        // What happened so far, as far as the rules ask for it.
        let (mut started, mut iterating, mut gone, mut complete) = (false, false, false, false);

        for op in ops {
            let sent_before = exchange.head_sent();
            let body_before = client.body.len();
            match op {
                Op::Start { status, length, exc_info } => {
                    let length = length.map(|length| length.to_string());
                    let fields: Vec<_> =
                        length.iter().map(|l| ("Content-Length", l.as_str())).collect();
                    let result = exchange.start(&status, fields.into_iter(), exc_info);
                    if started && !exc_info {
                        prop_assert_eq!(&result, &Err(StartError::AlreadyStarted));
                    } else if sent_before {
                        prop_assert_eq!(&result, &Err(StartError::HeadersSent));
                        gone |= !complete;
                    } else if gone {
                        prop_assert_eq!(&result, &Err(StartError::Disconnected));
                    } else {
                        let valid = ["200 OK", "204 No Content", "304 X", "999 X"];
                        prop_assert_eq!(result.is_ok(), valid.contains(&status.as_str()));
                        started = true;
                    }
                    prop_assert_eq!(exchange.head_sent(), sent_before, "start sends nothing");
                }
                Op::Write(data) => {
                    let result = exchange.write(Bytes::from(data.clone()));
                    let refused = result.is_err();
                    if gone || iterating || complete {
                        prop_assert!(refused);
                    }
                    if let Ok(send) = result {
                        client.receive(send, kind)?;
                        prop_assert!(exchange.head_sent(), "a write sends the head");
                        let added = client.body.len() - body_before;
                        prop_assert!(client.length == Some(Length::None) || added == data.len());
                    }
                }
                Op::Returned => exchange.returned(),
                Op::IterationBegan => {
                    exchange.iteration_began();
                    iterating = true;
                }
                Op::Block(data) => {
                    let result = exchange.block(Bytes::from(data.clone()));
                    iterating = iterating || !(gone || complete);
                    match result {
                        Ok(send) => {
                            prop_assert!(!gone);
                            client.receive(send, kind)?;
                            let flushed = exchange.head_sent() != sent_before;
                            prop_assert!(!(flushed && data.is_empty()), "an empty block flushed");
                        }
                        Err(Broken::NotStarted) => prop_assert!(!sent_before && !data.is_empty()),
                        Err(Broken::Aborted) => prop_assert!(gone),
                        Err(other) => prop_assert!(false, "{other:?}"),
                    }
                }
                Op::Whole(_) | Op::Empty | Op::Finish => {
                    let was_complete = complete;
                    let result = match op {
                        Op::Whole(data) => exchange.whole(Bytes::from(data)),
                        Op::Empty => exchange.empty(),
                        _ => exchange.finish(),
                    };
                    match result {
                        Ok(send) => {
                            prop_assert!(!gone);
                            client.receive(send, kind)?;
                            complete = true;
                            if let Some(Length::Known(length)) = client.length {
                                prop_assert_eq!(client.body.len() as u64, length);
                            }
                            prop_assert!(client.length.is_some(), "complete without a head");
                            prop_assert!(!was_complete || client.body.len() == body_before);
                        }
                        Err(Broken::TooShort { announced, sent }) => {
                            prop_assert!(sent < announced);
                            gone = true;
                        }
                        Err(Broken::NotStarted) => prop_assert!(!sent_before),
                        Err(Broken::Aborted) => prop_assert!(gone),
                    }
                    if !exchange.wants_more() {
                        iterating = true;
                    }
                }
                Op::Abort => {
                    exchange.abort();
                    gone |= !complete;
                }
                Op::Disconnect => {
                    exchange.disconnect();
                    gone = true;
                }
            }
            prop_assert_eq!(exchange.head_sent(), client.length.is_some());
            prop_assert_eq!(exchange.body_sent(), client.body.len() as u64);
            if gone || complete {
                prop_assert!(!exchange.wants_more());
            }
        }
    }

    #[test]
    fn no_strings_make_start_panic_or_split_a_response(
        status in "(?s).{0,12}",
        fields in prop::collection::vec(("(?s).{0,6}", "(?s).{0,6}"), 0..4),
        exc_info in any::<bool>(),
    ) {
        let kind = RequestKind { head: false, version: Version::HTTP_11 };
        let mut exchange = Exchange::new(kind, ResponseLimits::default(), None);
        let given = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        if exchange.start(&status, given, exc_info).is_err() {
            return Ok(());
        }
        let clean = |bytes: &[u8]| bytes.iter().all(|b| *b == b'\t' || !b.is_ascii_control());
        let (head, _) = exchange.block(Bytes::from_static(b"x")).expect("started").into_parts();
        let head = head.expect("the first block brings the head");
        if let Some(Reason(reason)) = head.parts.extensions.get() {
            prop_assert!(clean(reason));
        }
        for value in head.parts.headers.values() {
            prop_assert!(clean(value.as_bytes()));
        }
    }
}
