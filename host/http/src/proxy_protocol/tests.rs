//! Headers of either version, whole, in pieces, and broken.

use proptest::prelude::*;

use super::*;

fn client(client: &str, server: &str, tls: bool) -> Header {
    Header::Client {
        client: client.parse().unwrap(),
        server: server.parse().unwrap(),
        tls,
    }
}

/// This header is what it says, however little of it has come and whatever stands behind it.
#[track_caller]
fn check(bytes: &[u8], expected: Header) {
    let shown = bytes.escape_ascii();
    for length in 0..bytes.len() {
        assert_eq!(
            parse(&bytes[..length]),
            Parsed::Partial,
            "{shown}: {length}"
        );
    }
    let whole = Parsed::Whole(expected, bytes.len());
    assert_eq!(parse(bytes), whole, "{shown}");
    for behind in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\r\n",
        b"PROXY ",
        &[0; 8192],
    ] {
        assert_eq!(parse(&[bytes, behind].concat()), whole, "{shown}");
    }
}

#[track_caller]
fn broken(bytes: &[u8], part: &str) {
    match parse(bytes) {
        Parsed::Broken(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// A header of version 2.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, body].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// 192.0.2.1:51000 to 198.51.100.9:443.
const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 9, 0xc7, 0x38, 1, 0xbb];

/// [2001:db8::1]:51000 to [2001:db8::9]:443.
fn six() -> Vec<u8> {
    let address = |last| [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[last]].concat();
    [&address(1)[..], &address(9), &FOUR[8..]].concat()
}

#[test]
fn version_1_names_both_ends() {
    check(
        b"PROXY TCP4 192.0.2.1 198.51.100.9 51000 443\r\n",
        client("192.0.2.1:51000", "198.51.100.9:443", false),
    );
    check(
        b"PROXY TCP6 2001:db8::1 2001:db8::9 51000 443\r\n",
        client("[2001:db8::1]:51000", "[2001:db8::9]:443", false),
    );
    let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                   ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    let end = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    check(longest.as_bytes(), client(end, end, false));
}

#[test]
fn version_1_may_know_nobody() {
    check(b"PROXY UNKNOWN\r\n", Header::Nobody);
    check(
        b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
          ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        Header::Nobody,
    );
    check(b"PROXY UNKNOWN what ever\r\n", Header::Nobody);
}

#[test]
fn version_1_is_read_strictly() {
    for bad in [
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2  2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::9 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 [2001:db8::1] 2001:db8::9 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2\r1 2\r\n",
        "PROXY \u{e9}\r\n",
    ] {
        broken(
            bad.as_bytes(),
            if bad.starts_with("PROXY ") {
                "broken"
            } else {
                "begin"
            },
        );
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), 108);
    broken(long.as_bytes(), "longer than 107");
    broken(&long.as_bytes()[..107], "longer than 107");
    assert_eq!(parse(&long.as_bytes()[..106]), Parsed::Partial);
}

#[test]
fn version_2_names_both_ends() {
    check(
        &v2(0x21, 0x11, &FOUR),
        client("192.0.2.1:51000", "198.51.100.9:443", false),
    );
    check(
        &v2(0x21, 0x21, &six()),
        client("[2001:db8::1]:51000", "[2001:db8::9]:443", false),
    );
}

#[test]
fn version_2_may_know_nobody() {
    check(&v2(0x20, 0x00, &[]), Header::Nobody);
    // LOCAL: what it says of a family means nothing.
    check(&v2(0x20, 0x11, &[]), Header::Nobody);
    check(&v2(0x20, 0x11, &FOUR), Header::Nobody);
    check(&v2(0x20, 0xff, &[1, 2, 3]), Header::Nobody);
    check(&v2(0x21, 0x00, &[]), Header::Nobody);
    check(&v2(0x21, 0x00, &[9; 7]), Header::Nobody);
    check(&v2(0x21, 0x12, &FOUR), Header::Nobody);
    check(&v2(0x21, 0x31, &[0; 216]), Header::Nobody);
}

#[test]
fn version_2_is_followed_by_more_of_which_tls_counts() {
    let check = |tlvs: &[Vec<u8>], tls: bool| {
        let four = [&FOUR[..], &tlvs.concat()].concat();
        let expected = client("192.0.2.1:51000", "198.51.100.9:443", tls);
        check(&v2(0x21, 0x11, &four), expected);
        let six = [six(), tlvs.concat()].concat();
        let expected = client("[2001:db8::1]:51000", "[2001:db8::9]:443", tls);
        check(&v2(0x21, 0x21, &six), expected);
    };
    let version = tlv(0x21, b"TLSv1.3");
    let ssl = |flags: u8| tlv(0x20, &[&[flags, 0, 0, 0, 0], &version[..]].concat());
    check(
        &[tlv(0x04, b""), tlv(0x01, b"h2"), tlv(0xea, &[1; 300])],
        false,
    );
    check(&[ssl(0x01)], true);
    check(&[ssl(0x07)], true);
    check(
        &[tlv(0x02, b"shop.example"), ssl(0x01), tlv(0x05, b"id")],
        true,
    );
    // A client that sent a certificate over no TLS is none that came by TLS.
    check(&[ssl(0x06)], false);
    check(&[ssl(0x00)], false);
    // Only what says so, not what is in it.
    check(&[tlv(0xe0, &ssl(0x01))], false);
}

#[test]
fn version_2_is_read_strictly() {
    for (command, family) in [
        (0x11, 0x11),
        (0x31, 0x11),
        (0x22, 0x11),
        (0x2f, 0x00),
        (0x21, 0x13),
        (0x21, 0x41),
        (0x21, 0xff),
    ] {
        broken(&v2(command, family, &FOUR), "broken");
    }
    broken(&v2(0x21, 0x11, &FOUR[..11]), "broken");
    broken(&v2(0x21, 0x21, &FOUR), "broken");
    broken(&v2(0x21, 0x11, &[]), "broken");
    for tail in [
        &[0x04][..],
        &[0x04, 0],
        &[0x04, 0, 1],
        &[0x20, 0, 1, 1],
        &[0x20, 0, 4, 1, 0, 0, 0],
    ] {
        broken(&v2(0x21, 0x11, &[&FOUR[..], tail].concat()), "broken");
    }
    let longest = [&FOUR[..], &tlv(0x04, &[0; MAX_V2 - 16 - 12 - 3])].concat();
    let expected = client("192.0.2.1:51000", "198.51.100.9:443", false);
    assert_eq!(
        parse(&v2(0x21, 0x11, &longest)),
        Parsed::Whole(expected, MAX_V2)
    );
    // Known to be too long before it is there.
    let longer = v2(0x21, 0x11, &[&longest[..], &[0]].concat());
    broken(&longer[..16], "longer than 4096");
    assert_eq!(parse(&longer[..15]), Parsed::Partial);
}

#[test]
fn what_is_no_header_is_known_by_its_first_bytes() {
    for bad in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\nG",
        b"\r\n\r\n\0\r\nQUIT\r\n",
        b"PROXX",
        b"PROXY\t",
        b" PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\x16\x03\x01",
    ] {
        broken(bad, "does not begin with a PROXY header");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_make_it_panic_or_wait_for_ever(
        beginning in prop::sample::select(vec![
            &b""[..], b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        fill in any::<u8>(),
    ) {
        let mut bytes = [beginning, &rest].concat();
        let first = parse(&bytes);
        if let Parsed::Whole(_, length) = first {
            prop_assert!(length <= bytes.len());
        }
        // What is decided stays so, and what is not is decided when the buffer is full.
        bytes.resize(MAX_V2, fill);
        let then = parse(&bytes);
        prop_assert_ne!(then, Parsed::Partial);
        if first != Parsed::Partial {
            prop_assert_eq!(first, then);
        }
    }
}
