//! Reading vectors for [`InputBuffer`] (protocol 2.2), and the arithmetic of [`Tally`].

use super::*;

fn open(pieces: &[&'static str]) -> InputBuffer {
    let mut buffer = InputBuffer::new();
    for piece in pieces {
        buffer.push(Bytes::from_static(piece.as_bytes()));
    }
    buffer
}

fn whole(pieces: &[&'static str]) -> InputBuffer {
    let mut buffer = open(pieces);
    buffer.end();
    buffer
}

/// The bytes as text; `None` stands for more input needed.
fn text(taken: Result<Bytes, NeedMore>) -> Option<String> {
    taken
        .ok()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// As [`text`], to compare with a literal.
macro_rules! assert_takes {
    ($taken:expr, $expected:expr) => {
        assert_eq!(text($taken).as_deref(), $expected)
    };
}

#[test]
fn r2_2_read_gives_exactly_what_was_asked_for() {
    let mut buffer = open(&["ab", "cd"]);
    assert_takes!(buffer.take_exact(Some(5)), None);
    assert_eq!(buffer.len(), 4, "nothing was taken");
    assert_takes!(buffer.take_exact(Some(3)), Some("abc"));
    assert_takes!(buffer.take_exact(Some(2)), None);
    buffer.push(Bytes::from_static(b"ef"));
    assert_takes!(buffer.take_exact(Some(2)), Some("de"));
    buffer.end();
    assert_takes!(buffer.take_exact(Some(2)), Some("f"));
}

#[test]
fn s19_read_without_size_gives_the_rest() {
    let mut buffer = open(&["ab", "cd"]);
    assert_takes!(buffer.take_exact(None), None);
    buffer.end();
    assert_takes!(buffer.take_exact(None), Some("abcd"));
    assert_takes!(buffer.take_exact(None), Some(""));
    assert_takes!(whole(&["ab"]).take_exact(Some(u64::MAX)), Some("ab"));
}

#[test]
fn r2_2_size_0_never_waits() {
    let mut buffer = open(&[]);
    assert_takes!(buffer.take_exact(Some(0)), Some(""));
    assert_takes!(buffer.take_some(0), Some(""));
    assert_takes!(buffer.take_line(Some(0)), Some(""));
    let mut buffer = whole(&["a\n"]);
    assert_takes!(buffer.take_exact(Some(0)), Some(""));
    assert_takes!(buffer.take_some(0), Some(""));
    assert_takes!(buffer.take_line(Some(0)), Some(""));
    assert_eq!(buffer.len(), 2);
}

#[test]
fn s20_after_the_end_every_read_is_empty_for_ever() {
    let mut buffer = whole(&["a"]);
    assert_takes!(buffer.take_exact(Some(9)), Some("a"));
    for _ in 0..2 {
        assert_takes!(buffer.take_exact(Some(9)), Some(""));
        assert_takes!(buffer.take_exact(None), Some(""));
        assert_takes!(buffer.take_some(9), Some(""));
        assert_takes!(buffer.take_line(None), Some(""));
        assert_takes!(buffer.take_line(Some(9)), Some(""));
    }
    buffer.push(Bytes::from_static(b"late"));
    assert_takes!(buffer.take_exact(None), Some(""));
}

#[test]
fn s18_a_body_of_bytes_ends_where_they_do() {
    let mut buffer = InputBuffer::of_bytes(Bytes::from_static(b"ab"));
    assert!(buffer.is_ended() && !buffer.is_empty());
    assert_takes!(buffer.take_exact(None), Some("ab"));
    assert!(buffer.is_empty());
    assert_takes!(
        InputBuffer::of_bytes(Bytes::new()).take_exact(None),
        Some("")
    );
}

#[test]
fn read_some_gives_what_is_there() {
    let mut buffer = open(&[]);
    assert_takes!(buffer.take_some(1), None);
    buffer.push(Bytes::from_static(b"abc"));
    assert_takes!(buffer.take_some(2), Some("ab"));
    assert_takes!(buffer.take_some(u64::MAX), Some("c"));
    assert_takes!(buffer.take_some(u64::MAX), None);
}

#[test]
fn s21_lines() {
    let check = |pieces: &[&'static str], limit: Option<u64>, lines: &[&str]| {
        let mut buffer = whole(pieces);
        let mut found = Vec::new();
        while let Some(line) = text(buffer.take_line(limit)).filter(|line| !line.is_empty()) {
            found.push(line);
        }
        assert_eq!(found, lines, "{pieces:?} {limit:?}");
    };
    check(&[], None, &[]);
    check(&["a\nb\n"], None, &["a\n", "b\n"]);
    check(&["a\nb"], None, &["a\n", "b"]);
    check(&["a", "b\n", "\n", "c"], None, &["ab\n", "\n", "c"]);
    check(&["\n\n"], None, &["\n", "\n"]);
    check(&["a\r\nb\rc"], None, &["a\r\n", "b\rc"]);
    // A longer line is split; a newline that just fits still belongs to it.
    check(&["abc\nd\n"], Some(2), &["ab", "c\n", "d\n"]);
    check(&["abc\nd\n"], Some(3), &["abc", "\n", "d\n"]);
    check(&["abc\nd\n"], Some(4), &["abc\n", "d\n"]);
    check(&["a\nb\n"], Some(u64::MAX), &["a\n", "b\n"]);
    check(&["a\nb\n"], Some(1), &["a", "\n", "b", "\n"]);
}

#[test]
fn s21_a_line_waits_for_its_end_or_its_limit() {
    let mut buffer = open(&["abc"]);
    assert_takes!(buffer.take_line(None), None);
    assert_takes!(buffer.take_line(Some(4)), None);
    assert_takes!(buffer.take_line(Some(2)), Some("ab"));
    assert_takes!(buffer.take_line(None), None);
    buffer.push(Bytes::from_static(b"d\ne"));
    assert_takes!(buffer.take_line(None), Some("cd\n"));
    assert_takes!(buffer.take_line(None), None);
    buffer.end();
    assert_takes!(buffer.take_line(None), Some("e"));
}

#[test]
fn r2_2_all_ways_of_reading_share_one_buffer() {
    let mut buffer = whole(&["one\ntwo\nth", "ree\nfour\nfive"]);
    assert_takes!(buffer.take_exact(Some(2)), Some("on"));
    assert_takes!(buffer.take_line(None), Some("e\n"));
    assert_takes!(buffer.take_line(Some(2)), Some("tw"));
    assert_takes!(buffer.take_exact(Some(4)), Some("o\nth"));
    assert_takes!(buffer.take_some(1), Some("r"));
    assert_takes!(buffer.take_line(None), Some("ee\n"));
    assert_takes!(buffer.take_exact(None), Some("four\nfive"));
}

#[test]
fn what_is_awaited_is_handed_out_without_a_copy() {
    let piece = Bytes::from(vec![b'x'; 400]);
    let mut buffer = InputBuffer::new();
    buffer.push(piece.clone());
    let half = buffer.take_exact(Some(200)).expect("it is there");
    assert_eq!(half.as_ptr(), piece.as_ptr());
    let rest = buffer.take_some(u64::MAX).expect("it is there");
    assert_eq!(rest.as_ptr(), piece[200..].as_ptr());
    buffer.push(piece.clone());
    let whole = buffer.take_some(u64::MAX).expect("it is there");
    assert_eq!(whole.as_ptr(), piece.as_ptr());
}

#[test]
fn what_waits_keeps_no_larger_buffer_alive() {
    // As a server reads: each piece is a part of a buffer of its own.
    let mut buffer = InputBuffer::new();
    buffer.push(Bytes::from_static(b"first"));
    for size in [1, 600, TAIL, 3 * TAIL] {
        let large = Bytes::from(vec![b'x'; 10 * TAIL]);
        buffer.push(large.slice(..size));
        assert!(large.is_unique(), "{size}");
    }
    let rest = buffer.take_exact(Some(5 + 1 + 600 + 4 * TAIL as u64));
    assert_eq!(rest.map(|rest| rest.len()), Ok(606 + 4 * TAIL));
    assert!(buffer.is_empty());
}

#[test]
fn small_pieces_do_not_pile_up() {
    let mut buffer = InputBuffer::new();
    for _ in 0..10 * TAIL {
        buffer.push(Bytes::from_static(b"x"));
    }
    assert!(buffer.pieces.len() <= 10, "{}", buffer.pieces.len());
    assert_eq!(buffer.len(), 10 * TAIL);
}

#[test]
fn no_byte_is_searched_twice_for_a_line_end() {
    // Byte by byte, asking after each: what was searched stays searched.
    let mut buffer = InputBuffer::new();
    for count in 1..=3 * TAIL {
        buffer.push(Bytes::from_static(b"x"));
        assert_eq!(buffer.scan.total, count - 1);
        assert_eq!(buffer.take_line(None), Err(NeedMore));
        assert_eq!(buffer.scan.total, count);
    }
    // Also over what is taken from the front by other means.
    assert!(buffer.take_exact(Some(TAIL as u64 + 7)).is_ok());
    assert_eq!(buffer.scan.total, 2 * TAIL - 7);
    assert!(buffer.take_some(3).is_ok());
    assert_eq!(buffer.scan.total, 2 * TAIL - 10);
    buffer.push(Bytes::from(vec![b'y'; 600]));
    buffer.push(Bytes::from_static(b"\nz"));
    let line = buffer.take_line(None).expect("a line");
    assert_eq!(line.len(), 2 * TAIL - 10 + 600 + 1);
    assert_eq!(buffer.scan.total, 0);
    buffer.end();
    assert_takes!(buffer.take_line(None), Some("z"));
}

#[test]
fn s45_s46_a_tally_knows_what_fits_and_what_is_missing() {
    let check = |announced: Option<u64>, sent: usize, len: usize, room: usize, missing: bool| {
        let mut tally = Tally::new(announced);
        tally.add(sent);
        let found = (tally.room_for(len), tally.missing().is_some());
        assert_eq!(found, (room, missing), "{announced:?} {sent} {len}");
        assert_eq!(tally.is_full(), announced.is_some() && !missing);
    };
    check(None, 9, 5, 5, false);
    check(Some(5), 0, 5, 5, true);
    check(Some(5), 0, 6, 5, true);
    check(Some(5), 3, 1, 1, true);
    check(Some(5), 3, 9, 2, true);
    check(Some(5), 5, 1, 0, false);
    check(Some(0), 0, 1, 0, false);
    check(Some(u64::MAX), 3, usize::MAX, usize::MAX - 3, true);
}
