//! Whatever a client writes into the fields that proxies write too: it is refused, or it has no
//! effect.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use wasm_gw_protocol::*;

/// The proxies: 10.0.0.1 speaks to us, 10.0.0.2 to it, and so on.
fn trusted() -> TrustedProxies {
    let proxy = "10.0.0.0/8".parse::<TrustedProxy>().expect("a network");
    [proxy].into_iter().collect()
}

fn conn() -> ConnInfo {
    ConnInfo::tcp(([10, 0, 0, 100], 8080).into(), ([10, 0, 0, 1], 4000).into())
}

/// Text that a field may have, most of it made of what means something there.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "\"", "\\", ",", ";", "=", " ", "\t", "[", "]", ":", "for=", "for=\"", "by=_x",
            "host=evil", "proto=https", "https", "1.1.1.1", "10.0.0.9", "for=10.0.0.9", "::1",
            "unknown", "_x", "\\\"",
        ])
        .prop_map(str::to_owned),
        1 => "[ -~]{1,3}",
        1 => "[é€]",
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn field(headers: &mut HeaderMap, name: &'static str, value: &str) -> bool {
    let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
        return false;
    };
    headers.append(HeaderName::from_static(name), value);
    true
}

/// A hop's element, as RFC 7239 has it, in one of its forms.
fn element(address: &str, proto: &str, quoted: bool) -> String {
    if quoted {
        format!("for=\"{address}:4711\";proto={proto};host=\"shop.example:8443\";by=\"_p\"")
    } else {
        format!("for={address};proto={proto};host=shop.example")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_a_client_writes_into_forwarded_is_refused_or_has_no_effect(
        own in text(),
        hops in 0..4u8,
        quoted in any::<bool>(),
        one_line in any::<bool>(),
    ) {
        // The outermost proxy saw 192.0.2.1; each further one saw the proxy before it.
        let mut added = vec![element("192.0.2.1", "http", quoted)];
        for hop in (2..2 + hops).rev() {
            added.push(element(&format!("10.0.0.{hop}"), "https", quoted));
        }
        let added = added.join(", ");
        let mut headers = HeaderMap::new();
        let fits = if one_line {
            field(&mut headers, "forwarded", &format!("{own}, {added}"))
        } else {
            field(&mut headers, "forwarded", &own) && field(&mut headers, "forwarded", &added)
        };
        prop_assume!(fits);
        match trusted().believe(&conn(), &headers) {
            Err(refusal) => prop_assert_eq!(refusal.status.as_u16(), 400),
            Ok(found) => {
                let found = found.expect("a proxy has told something");
                prop_assert_eq!(found.remote.ip(), Some([192, 0, 2, 1].into()));
                prop_assert_eq!(found.scheme, Scheme::Http);
                let host = found.public.expect("a proxy has told the URL").host;
                let expected = if quoted { "shop.example:8443" } else { "shop.example" };
                prop_assert_eq!(host.as_deref(), Some(expected));
            }
        }
    }

    #[test]
    fn what_a_client_writes_into_x_forwarded_for_has_no_effect(
        own in text(),
        hops in 0..4u8,
        port in prop::option::of(any::<u16>()),
        one_line in any::<bool>(),
    ) {
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let mut added = format!("192.0.2.1{port}");
        for hop in (2..2 + hops).rev() {
            added.push_str(&format!(", 10.0.0.{hop}{port}"));
        }
        let mut headers = HeaderMap::new();
        let fits = if one_line {
            field(&mut headers, "x-forwarded-for", &format!("{own}, {added}"))
        } else {
            field(&mut headers, "x-forwarded-for", &own)
                && field(&mut headers, "x-forwarded-for", &added)
        };
        prop_assume!(fits);
        let found = trusted().believe(&conn(), &headers).expect("not refused");
        let found = found.expect("a proxy has told something");
        prop_assert_eq!(found.remote.ip(), Some([192, 0, 2, 1].into()));
        prop_assert_eq!(found.public, None);
    }

    #[test]
    fn what_a_client_writes_into_the_other_kind_is_refused_or_has_no_effect(
        own in text(),
        forwarded_is_the_proxys in any::<bool>(),
    ) {
        let mut headers = HeaderMap::new();
        let fits = if forwarded_is_the_proxys {
            field(&mut headers, "forwarded", "for=192.0.2.1;proto=http;host=shop.example");
            field(&mut headers, "x-forwarded-for", &own)
        } else {
            field(&mut headers, "x-forwarded-for", "192.0.2.1");
            field(&mut headers, "x-forwarded-proto", "http");
            field(&mut headers, "x-forwarded-host", "shop.example");
            field(&mut headers, "forwarded", &own)
        };
        prop_assume!(fits);
        if let Ok(found) = trusted().believe(&conn(), &headers) {
            let found = found.expect("a proxy has told something");
            prop_assert_eq!(found.remote.ip(), Some([192, 0, 2, 1].into()));
            prop_assert_eq!(found.scheme, Scheme::Http);
            let host = found.public.expect("a proxy has told the URL").host;
            prop_assert_eq!(host.as_deref(), Some("shop.example"));
        }
    }

    #[test]
    fn no_text_makes_a_proxy_or_what_it_says_panic(
        proxy in "[0-9a-fx.:/+ %]{0,24}",
        name in prop::sample::select(vec![
            "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id",
        ]),
        value in prop::collection::vec(any::<u8>(), 0..48),
    ) {
        let _ = proxy.parse::<TrustedProxy>();
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append(HeaderName::from_static(name), value);
        }
        let _ = RequestId::told(&headers);
        if let Ok(Some(found)) = trusted().believe(&conn(), &headers) {
            // What is believed is fit for environ.
            let host = found.public.and_then(|public| public.host);
            prop_assert!(host.is_none_or(|host| Authority::parse(&host).is_some()));
        }
    }
}
