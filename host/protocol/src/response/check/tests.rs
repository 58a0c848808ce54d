//! Protocol 1.4, items 3 to 9, vector by vector.

use super::*;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn checked(status: &str, fields: Fields<'_>) -> Result<Checked, StartError> {
    check_head(status, fields.iter().copied(), &ResponseLimits::default())
}

fn fault(fields: Fields<'_>) -> Option<StartError> {
    checked("200 OK", fields).err()
}

#[test]
fn r1_4_3_statuses() {
    let check = |status: &str, expected: Result<(u16, Option<&[u8]>), StartError>| {
        let found = checked(status, &[]);
        let found = found
            .as_ref()
            .map(|c| {
                (
                    c.status.as_u16(),
                    c.reason.as_ref().map(|reason| &*reason.0),
                )
            })
            .map_err(StartError::clone);
        assert_eq!(found, expected, "{status:?}");
    };
    check("200 OK", Ok((200, None)));
    check("404 Not Found", Ok((404, None)));
    check("200 Fine", Ok((200, Some(b"Fine"))));
    check("200 ", Ok((200, Some(b""))));
    check("200 OK ", Ok((200, Some(b"OK "))));
    check("200  OK", Ok((200, Some(b" OK"))));
    check("200 caf\u{e9}", Ok((200, Some(b"caf\xe9"))));
    check("200 \u{80}", Ok((200, Some(b"\x80"))));
    check("299 ", Ok((299, Some(b""))));
    check("599 X", Ok((599, Some(b"X"))));
    check("600 X", Ok((600, Some(b"X"))));
    check("999 X", Ok((999, Some(b"X"))));
    for bad in [
        "",
        " ",
        "2",
        "200",
        "20 OK",
        "2000 OK",
        "200OK",
        "200-OK",
        "200\tOK",
        " 200 OK",
        "abc OK",
        "+20 OK",
        "-20 OK",
        "2_0 OK",
        "20. OK",
        "0x1 OK",
        "000 X",
        "099 X",
        "100 Continue",
        "101 Switching Protocols",
        "103 Early Hints",
        "199 X",
        "200 O\tK",
        "200 OK\r\nX: y",
        "200 O\nK",
        "200 OK\r",
        "200 \0",
        "200 \u{1f}",
        "200 \u{7f}",
        "\u{b2}00 OK",
    ] {
        check(bad, Err(StartError::BadStatus(bad.to_owned())));
    }
    let wide = || Err(StartError::NotLatin1("status".to_owned()));
    check("200 \u{100}", wide());
    check("200 €", wide());
    // Digits to Python's isdigit, but not to us.
    check("٢٠٠ OK", wide());
}

#[test]
fn r1_4_4_sizes_outrank_faulty_fields() {
    let limits = ResponseLimits {
        fields: 2,
        header_section: 6 + 2 * 10,
    };
    let check = |fields: Fields<'_>, expected: Option<StartError>| {
        let found = check_head("200 OK", fields.iter().copied(), &limits).err();
        assert_eq!(found, expected, "{fields:?}");
    };
    // Six for the status; "a: 1234567" is ten, and so is latin-1 of more bytes in UTF-8.
    check(&[("a", "1234567"), ("b", "1234567")], None);
    check(&[("a", "ÿÿÿÿÿÿÿ"), ("b", "ÿÿÿÿÿÿÿ")], None);
    check(
        &[("a", "1234567"), ("b", "12345678")],
        Some(StartError::TooLarge),
    );
    check(&[("a", ""); 3], Some(StartError::TooLarge));
    check(
        &[("a b", "1234567"), ("b", "12345678")],
        Some(StartError::TooLarge),
    );
    check(
        &[("a b", ""), ("c d", "")],
        Some(StartError::BadHeaderName("a b".into())),
    );
    // But a status outranks them.
    let found = check_head("200", [("a", ""); 3].into_iter(), &limits).err();
    assert_eq!(found, Some(StartError::BadStatus("200".into())));
}

#[test]
fn r1_4_4_the_default_limits() {
    assert!(fault(&[("a", ""); 128]).is_none());
    assert_eq!(fault(&[("a", ""); 129]), Some(StartError::TooLarge));
    let value = "v".repeat(64 * 1024);
    assert!(fault(&[("a", &value[..65536 - 9])]).is_none());
    assert_eq!(
        fault(&[("a", &value[..65536 - 8])]),
        Some(StartError::TooLarge)
    );
}

#[test]
fn r1_4_5_names_are_tokens() {
    for good in [
        "a",
        "X-A",
        "x_a",
        "a-",
        "a_",
        "status",
        "!#$%&'*+.^`|~",
        "0",
    ] {
        assert_eq!(fault(&[(good, "")]), None, "{good:?}");
    }
    for bad in [
        "", " ", "a b", "a:", ":a", "a\r\nb", "a\n", "a\0", "a\t", "a\u{7f}", "é", "\u{ff}", "a,b",
        "a(b", "a\"", "a/b", "a{b", "a\\b", "a@b", "[a]", "a=b", "a;b", "a<b", "a?",
    ] {
        assert_eq!(
            fault(&[(bad, "")]),
            Some(StartError::BadHeaderName(bad.into())),
            "{bad:?}"
        );
    }
    assert_eq!(
        fault(&[("a€", "")]),
        Some(StartError::NotLatin1("a€".into()))
    );
}

#[test]
fn s33_hop_by_hop_fields_are_refused_in_any_case() {
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "TE",
        "te",
        "Trailer",
        "trailers",
        "Transfer-Encoding",
        "UPGRADE",
        "Proxy-Connection",
    ] {
        assert_eq!(
            fault(&[(name, "x")]),
            Some(StartError::HopByHop(name.into())),
            "{name}"
        );
    }
}

#[test]
fn r1_4_6_values_have_no_controls_but_tabs_and_are_trimmed() {
    let check = |value: &str, expected: &[u8]| {
        let checked = checked("200 OK", &[("A", value)]).expect(value);
        assert_eq!(checked.headers["a"].as_bytes(), expected, "{value:?}");
    };
    check("", b"");
    check(" \t a\tb \t", b"a\tb");
    check("caf\u{e9}\u{80}\u{ff}", b"caf\xe9\x80\xff");
    for code in (0..0x20).chain([0x7f]).filter(|code| *code != 0x09) {
        for value in [
            format!("a{}b", char::from(code)),
            format!(" {}", char::from(code)),
        ] {
            let expected = Some(StartError::BadHeaderValue("a".into()));
            assert_eq!(fault(&[("A", &value)]), expected, "{value:?}");
        }
    }
    assert_eq!(
        fault(&[("A", "\u{100}")]),
        Some(StartError::NotLatin1("a".into()))
    );
    assert_eq!(
        fault(&[("A", "x\r\nSet-Cookie: y")]),
        Some(StartError::BadHeaderValue("a".into()))
    );
}

#[test]
fn r1_4_7_content_length_is_one_number() {
    let check = |values: &[&str], expected: Result<u64, &str>| {
        let fields: Vec<_> = values
            .iter()
            .map(|value| ("Content-Length", *value))
            .collect();
        match (checked("200 OK", &fields), expected) {
            (Ok(checked), Ok(length)) => {
                assert_eq!(checked.content_length, Some(length), "{values:?}");
                assert_eq!(checked.headers.get_all(CONTENT_LENGTH).iter().count(), 1);
            }
            (Err(error), Err(value)) => {
                assert_eq!(
                    error,
                    StartError::BadContentLength(value.into()),
                    "{values:?}"
                );
            }
            (found, expected) => panic!("{values:?}: {found:?}, not {expected:?}"),
        }
    };
    check(&["0"], Ok(0));
    check(&["5", "5"], Ok(5));
    check(&["5", "5", "05"], Ok(5));
    check(&[" 5\t"], Ok(5));
    check(&["18446744073709551615"], Ok(u64::MAX));
    for bad in [
        "",
        "+5",
        "-5",
        "1_0",
        "5, 5",
        "0x5",
        "5.0",
        "18446744073709551616",
        "5 5",
    ] {
        check(&[bad], Err(bad));
    }
    check(&["5", "6"], Err("6"));
    check(&["5", "x"], Err("x"));
    assert_eq!(
        checked("200 OK", &[]).expect("no fields").content_length,
        None
    );
}

#[test]
fn r1_4_9_repeated_fields_keep_their_order_and_are_not_merged() {
    let fields = [
        ("Set-Cookie", "a=1"),
        ("X", "1"),
        ("set-cookie", "b=2"),
        ("X", "2"),
    ];
    let checked = checked("200 OK", &fields).expect("good fields");
    let all = |name: &str| checked.headers.get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all("x"), ["1", "2"]);
}

#[test]
fn what_an_error_quotes_is_short() {
    let long = "x ".repeat(10_000);
    for error in [
        checked(&long, &[]).err(),
        fault(&[(&long, "")]),
        fault(&[("Content-Length", &long)]),
    ] {
        match error {
            Some(
                StartError::BadStatus(text)
                | StartError::BadHeaderName(text)
                | StartError::BadContentLength(text),
            ) => assert_eq!(text.len(), 64),
            other => panic!("{other:?}"),
        }
    }
}
