//! Mount prefixes, decoding, and which mount a path belongs to.

use super::*;

fn mount(text: &str) -> Mount {
    Mount::parse(text).expect(text)
}

#[test]
fn r2_1_a_mount_is_written_decoded_and_loses_its_last_slash() {
    let check = |text: &str, expected: Result<&str, MountError>| {
        let found = Mount::parse(text);
        assert_eq!(
            found.as_ref().map(Mount::as_str).map_err(|e| *e),
            expected,
            "{text:?}"
        );
    };
    check("", Ok(""));
    check("/", Ok(""));
    check("/a", Ok("/a"));
    check("/a/", Ok("/a"));
    check("/api/rest", Ok("/api/rest"));
    check("/é b", Ok("/é b"));
    check("/.a", Ok("/.a"));
    check("a", Err(MountError::NoLeadingSlash));
    check("a/", Err(MountError::NoLeadingSlash));
    check("//", Err(MountError::EmptySegment));
    check("/a//", Err(MountError::EmptySegment));
    check("/a//b", Err(MountError::EmptySegment));
    check("/a/../b", Err(MountError::DotSegment));
    check("/.", Err(MountError::DotSegment));
    check("/a?b", Err(MountError::BadCharacter('?')));
    check("/a#b", Err(MountError::BadCharacter('#')));
    check("/a%20b", Err(MountError::BadCharacter('%')));
    check("/a\0", Err(MountError::BadCharacter('\0')));
    check("/a\n", Err(MountError::BadCharacter('\n')));
}

#[test]
fn r2_1_script_name_ends_on_a_segment_boundary() {
    let check = |prefix: &str, path: &str, expected: Option<(&str, &str)>| {
        let split = mount(prefix).matches(path);
        let found = split
            .as_ref()
            .map(|s| (s.script_name.as_str(), s.path_info.as_str()));
        assert_eq!(found, expected, "{prefix} {path}");
    };
    check("", "/", Some(("", "/")));
    check("", "/a/b", Some(("", "/a/b")));
    check("", "//a//b", Some(("", "//a//b")));
    check("/api/rest", "/api/rest", Some(("/api/rest", "")));
    check("/api/rest", "/api/rest/", Some(("/api/rest", "/")));
    check("/api/rest", "/api/rest//", Some(("/api/rest", "//")));
    check("/api/rest", "/api/rest/get", Some(("/api/rest", "/get")));
    check("/api/rest", "/api/restful", None);
    check("/api/rest", "/api", None);
    check("/api/rest", "/api/", None);
    check("/api/rest", "/apirest", None);
    check("/api/rest", "/api//rest", None);
    check("/api/rest", "//api/rest", None);
    check("/api/rest", "/API/rest", None);
    check("/api/rest", "/", None);
    check("/api/rest/", "/api/rest/x", Some(("/api/rest", "/x")));
    check("", "*", None);
    check("", "", None);
    check("/a", "a", None);
}

#[test]
fn r2_4_mounts_are_compared_with_decoded_segments() {
    let check = |prefix: &str, path: &str, expected: Option<(&str, &str)>| {
        let split = mount(prefix).matches(path);
        let found = split
            .as_ref()
            .map(|s| (s.script_name.as_str(), s.path_info.as_str()));
        assert_eq!(found, expected, "{prefix} {path}");
    };
    check("/admin", "/ad%6Din/x", Some(("/admin", "/x")));
    check("/admin", "/%61%64%6d%69%6E", Some(("/admin", "")));
    check("/admin", "/admin%2Fx", None);
    check("/admin", "/admin%2fx", None);
    check("/admin", "/admin%", None);
    check("/a b", "/a%20b/c", Some(("/a b", "/c")));
    // Mounts are text, paths are bytes: UTF-8 joins them, latin-1 carries them.
    check("/é", "/%C3%A9/x", Some(("/Ã©", "/x")));
    check("/é", "/é/x", Some(("/Ã©", "/x")));
    check("/é", "/%E9", None);
}

#[test]
fn r2_1_path_info_is_decoded_bytes_as_latin_1() {
    let check = |path: &str, expected: &str| {
        let split = Mount::root().matches(path).expect(path);
        assert_eq!(split.path_info, expected, "{path}");
    };
    check("/a%2Fb", "/a/b");
    check("/a+b", "/a+b");
    check("/%zz", "/%zz");
    check("/%a", "/%a");
    check("/%", "/%");
    check("/%%41", "/%A");
    check("/%4%41", "/%4A");
    check("/%2541", "/%41");
    check("/%FF", "/\u{ff}");
    check("/%E2%82%AC", "/\u{e2}\u{82}\u{ac}");
    check("/€", "/\u{e2}\u{82}\u{ac}");
    check("/€%FF", "/\u{e2}\u{82}\u{ac}\u{ff}");
    check("/%0d%0a", "/\r\n");
    check("/a/../b/./c", "/a/../b/./c");
    check("/%2e%2e/", "/../");
}

#[test]
fn r2_4_the_longest_mount_wins_whatever_the_order() {
    let orders = [["", "/a", "/a/b"], ["/a/b", "/a", ""], ["/a", "", "/a/b"]];
    for order in orders {
        let mounts: Vec<_> = order.iter().map(|text| mount(text)).collect();
        let check = |path: &str, expected: &str, path_info: &str| {
            let routed = route(mounts.iter(), path).expect(path).expect(path);
            assert_eq!(order[routed.0], expected, "{path}");
            assert_eq!(
                (&*routed.1.script_name, &*routed.1.path_info),
                (expected, path_info)
            );
        };
        check("/", "", "/");
        check("/ab", "", "/ab");
        check("/a", "/a", "");
        check("/a/c", "/a", "/c");
        check("/a/b", "/a/b", "");
        check("/a/b/c", "/a/b", "/c");
        check("/a/bc", "/a", "/bc");
        check("/%61/%62", "/a/b", "");
    }
}

#[test]
fn r2_4_no_mount_is_not_an_error_and_equal_mounts_do_not_fight() {
    let mounts = [mount("/a"), mount("/a")];
    assert_eq!(route(mounts.iter(), "/b"), Ok(None));
    assert_eq!(route(mounts.iter(), "*"), Ok(None));
    assert_eq!(route([].iter(), "/"), Ok(None));
    let index = |path| route(mounts.iter(), path).map(|found| found.map(|(index, _)| index));
    assert_eq!(index("/a/x"), Ok(Some(0)));
    assert_eq!(index("/a/./x"), Ok(Some(0)));
}

#[test]
fn r2_4_dot_segments_pass_within_a_mount_and_are_400_across() {
    let mounts = [mount(""), mount("/admin"), mount("/a/b")];
    let check = |path: &str, expected: Result<usize, u16>| {
        let found = route(mounts.iter(), path)
            .map(|found| found.map_or(usize::MAX, |(index, _)| index))
            .map_err(|refusal| refusal.status.as_u16());
        assert_eq!(found, expected, "{path}");
    };
    check("/x/../y", Ok(0));
    check("/./x", Ok(0));
    check("/%2e%2e/", Ok(0));
    check("/../../x", Ok(0));
    check("/admin/x/../y", Ok(1));
    check("/admin/.", Ok(1));
    check("/admin/x/%2E./y", Ok(1));
    check("/x/../admin", Err(400));
    check("/x/..%2fadmin", Ok(0));
    check("/x/%2e%2e/admin/z", Err(400));
    check("/x/.%2E/ad%6Din", Err(400));
    check("/./admin", Err(400));
    check("/../admin", Err(400));
    check("/admin/..", Err(400));
    check("/admin/../x", Err(400));
    check("/a/./b", Err(400));
    check("/a/c/../b/d", Err(400));
    check("/a/b/../b/d", Ok(2));
    check("/a/b/..", Err(400));
    // Not dot segments.
    check("/.../admin", Ok(0));
    check("/..x/admin", Ok(0));
    check("/%2e%2e%2e/admin", Ok(0));
    check("/x%2F../admin", Ok(0));
    check("//admin", Ok(0));
    // An empty segment is one that `..` takes back.
    check("//../admin", Err(400));
}

#[test]
fn r2_4_dot_segments_out_of_the_only_mount_are_400() {
    let mounts = [mount("/app")];
    let status = |path| route(mounts.iter(), path).map_err(|refusal| refusal.status.as_u16());
    assert_eq!(status("/app/../x"), Err(400));
    assert_eq!(status("/x/../app"), Err(400));
    assert_eq!(status("/x/../y"), Ok(None));
}
