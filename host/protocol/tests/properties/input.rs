//! However a body is cut into pieces, reading it gives what reading it whole gives.

use bytes::Bytes;
use proptest::prelude::*;
use wasm_gw_protocol::{InputBuffer, NeedMore};

#[derive(Clone, Copy, Debug)]
enum Read {
    Exact(Option<u64>),
    Some(u64),
    Line(Option<u64>),
}

fn read() -> impl Strategy<Value = Read> {
    let size = || prop_oneof![4 => 0u64..6, 2 => 0u64..2000, 1 => Just(u64::MAX)];
    prop_oneof![
        4 => size().prop_map(|size| Read::Exact(Some(size))),
        1 => Just(Read::Exact(None)),
        3 => size().prop_map(Read::Some),
        4 => size().prop_map(|size| Read::Line(Some(size))),
        4 => Just(Read::Line(None)),
    ]
}

/// A body in pieces: some of a byte, some so large that they are kept as they are.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = || prop_oneof![8 => Just(b'x'), 1 => Just(b'\n'), 1 => any::<u8>()];
    let rare = || prop_oneof![400 => Just(b'y'), 1 => Just(b'\n')];
    let piece = prop_oneof![
        6 => prop::collection::vec(byte(), 0..4),
        2 => prop::collection::vec(byte(), 0..40),
        1 => prop::collection::vec(rare(), 400..700),
    ];
    prop::collection::vec(piece, 0..24)
}

/// What the read gives where the whole rest of the body is known.
fn model(rest: &[u8], read: Read) -> usize {
    let min = |size: u64| usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
    match read {
        Read::Exact(None) => rest.len(),
        Read::Exact(Some(size)) | Read::Some(size) => min(size),
        Read::Line(limit) => {
            let end = rest
                .iter()
                .position(|b| *b == b'\n')
                .map_or(rest.len(), |at| at + 1);
            end.min(min(limit.unwrap_or(u64::MAX)))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn reads_do_not_depend_on_how_the_body_was_cut(
        pieces in pieces(),
        reads in prop::collection::vec(read(), 0..40),
        eager in any::<bool>(),
    ) {
        let body = pieces.concat();
        let mut coming = pieces.into_iter();
        let mut buffer = InputBuffer::new();
        let mut pushed = 0;
        let mut at = 0;
        if eager {
            for piece in coming.by_ref() {
                pushed += piece.len();
                buffer.push(Bytes::from(piece));
            }
            buffer.end();
        }

        for read in reads {
            let taken = loop {
                let here = &body[at..pushed];
                prop_assert_eq!(buffer.len(), here.len());
                let taken = match read {
                    Read::Exact(size) => buffer.take_exact(size),
                    Read::Some(max) => buffer.take_some(max),
                    Read::Line(limit) => buffer.take_line(limit),
                };
                match taken {
                    Ok(taken) => break taken,
                    Err(NeedMore) => {
                        // It may only wait for what it cannot know yet.
                        prop_assert!(!buffer.is_ended());
                        let enough = match read {
                            Read::Exact(None) => false,
                            Read::Exact(Some(size)) => size <= here.len() as u64,
                            Read::Some(max) => max == 0 || !here.is_empty(),
                            Read::Line(limit) => {
                                limit.is_some_and(|limit| limit <= here.len() as u64)
                                    || here.contains(&b'\n')
                            }
                        };
                        prop_assert!(!enough, "{read:?} waits in vain");
                    }
                }
                match coming.next() {
                    Some(piece) => {
                        pushed += piece.len();
                        buffer.push(Bytes::from(piece));
                    }
                    None => buffer.end(),
                }
            };
            let rest = &body[at..];
            prop_assert!(rest.starts_with(&taken), "{read:?} gave other bytes");
            let most = model(rest, read);
            if let Read::Some(_) = read {
                prop_assert!(taken.len() <= most && (taken.is_empty() == (most == 0)));
            } else {
                prop_assert_eq!(taken.len(), most, "{:?}", read);
            }
            at += taken.len();
        }
    }
}
