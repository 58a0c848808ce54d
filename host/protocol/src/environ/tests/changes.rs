//! What an environ takes from guests and deployers, and how much of it.

use super::*;

#[test]
fn s16_configured_variables_never_replace_the_requests() {
    let pair = |name: &str| (name.to_owned(), "conf".to_owned());
    let names = [
        "REQUEST_METHOD",
        "PATH_INFO",
        "HTTP_X_A",
        "HTTP_X_NEW",
        "wsgi.url_scheme",
        "wasm_gw.app",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "MY_SETTING",
        "REMOTE_USER",
        "",
        "A=B",
        "A\0",
        "€",
        "MY_SETTING",
    ];
    let site = Site {
        extra: names.iter().map(|name| pair(name)).collect(),
        ..Site::default()
    };
    let environ = get_with(&site, "/", &[("X-A", "1")]);
    let configured: Vec<_> = environ
        .iter()
        .filter(|(_, value)| *value == "conf")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(configured, ["MY_SETTING", "REMOTE_USER"]);
}

#[test]
fn s16_reserved_names_are_refused_when_configured() {
    for name in [
        "HTTP_X",
        "wsgi.version",
        "wasm_gw.x",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
    ] {
        assert_eq!(
            Environ::check_extra(name, ""),
            Err(VarError::Reserved(name.into()))
        );
    }
    for name in ["MY", "REMOTE_USER", "REMOTE_ADDR", "http_x", "myapp.key"] {
        assert_eq!(Environ::check_extra(name, "ÿ"), Ok(()), "{name}");
    }
    assert_eq!(
        Environ::check_extra("A", "€"),
        Err(VarError::NotLatin1("A".into()))
    );
    assert_eq!(
        Environ::check_extra("", ""),
        Err(VarError::BadName(String::new()))
    );
}

#[test]
fn s5_an_environ_can_be_changed_at_will() {
    let mut environ = get(&[]);
    let before = environ.len();
    assert_eq!(environ.set("PATH_INFO", "/other"), Ok(()));
    assert_eq!(environ.set("my.key", "v"), Ok(()));
    assert_eq!(environ.get("PATH_INFO"), Some("/other"));
    assert_eq!(environ.len(), before + 1);
    environ.remove("PATH_INFO");
    environ.remove("PATH_INFO");
    assert_eq!(environ.get("PATH_INFO"), None);
    assert_eq!(environ.len(), before);
    assert_eq!(environ.iter().last(), Some(("my.key", "v")));
}

#[test]
fn s13_set_takes_native_strings_only() {
    let check = |name: &str, value: &str, expected: Result<(), VarError>| {
        let mut environ = Environ::new();
        assert_eq!(
            environ.set(name.to_owned(), value.to_owned()),
            expected,
            "{name:?}"
        );
        assert_eq!(environ.is_empty(), expected.is_err());
    };
    check("a", "ÿ\0", Ok(()));
    check("é", "", Ok(()));
    check("a", "€", Err(VarError::NotLatin1("a".into())));
    check("€", "", Err(VarError::NotLatin1("€".into())));
    check("", "", Err(VarError::BadName("".into())));
    check("a=b", "", Err(VarError::BadName("a=b".into())));
    check("a\0", "", Err(VarError::BadName("a\0".into())));
}

#[test]
fn an_environ_has_caps_and_counts_right() {
    let mut environ = Environ::new();
    for index in 0..Environ::MAX_VARS {
        assert_eq!(environ.set(format!("v{index}"), ""), Ok(()));
    }
    assert_eq!(environ.set("one-more", ""), Err(VarError::TooMany));
    assert_eq!(environ.set("v0", "replacing is fine"), Ok(()));

    let mut environ = Environ::new();
    let half = "x".repeat(Environ::MAX_BYTES / 2 - 1);
    assert_eq!(environ.set("a", half.clone()), Ok(()));
    assert_eq!(environ.set("b", half.clone()), Ok(()));
    assert_eq!(environ.set("c", ""), Err(VarError::TooLarge));
    assert_eq!(
        environ.set("a", half.clone() + "x"),
        Err(VarError::TooLarge)
    );
    assert_eq!(environ.get("a"), Some(&*half), "as it was");
    environ.remove("b");
    assert_eq!(environ.set("c", half[1..].to_owned()), Ok(()));
    assert_eq!(environ.set("a", ""), Ok(()));
    assert_eq!(environ.set("b", half[1..].to_owned()), Ok(()));
}

#[test]
fn from_vars_is_a_dictionary() {
    let vars = [("a", "1"), ("b", "2"), ("a", "3")];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environ = Environ::from_vars(vars.to_vec()).expect("good variables");
    assert!(environ.iter().eq([("a", "3"), ("b", "2")]));
    let bad = vec![("a".to_owned(), "€".to_owned())];
    assert!(Environ::from_vars(bad).is_err());
}

#[test]
fn a_list_longer_than_an_environ_is_refused_before_it_is_read() {
    // A name of its own for each but the last, which comes again and again: to look for it each time
    // among a thousand others would hold a thread of the host for seconds.
    let vars = (0..2_000_000).map(|index: usize| {
        let name = format!("N{}", index.min(Environ::MAX_VARS - 1));
        (name, String::new())
    });
    assert_eq!(
        Environ::from_vars(vars.collect()).unwrap_err(),
        VarError::TooMany
    );
}
