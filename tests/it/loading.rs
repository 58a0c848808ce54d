//! What a component may be: what is refused when it is loaded, in words that name the thing and the
//! mend, and what must load.

use wasm_gw_runtime::{AllocatorChoice, App, AppConfig, LoadError, Runtime, RuntimeConfig};
use wasm_gw_tests::server::runtime;
use wasm_gw_tests::{TestApp, guest};

/// A runtime that keeps nothing: these components are not worth it.
fn without_cache(max_memory: usize, allocator: AllocatorChoice) -> Runtime {
    let instances = 4;
    Runtime::new(RuntimeConfig {
        instances,
        max_memory,
        allocator,
        cache: None,
        ..RuntimeConfig::default()
    })
    .unwrap()
}

fn load(bytes: &[u8]) -> Result<App, LoadError> {
    let runtime = without_cache(256 << 20, AllocatorChoice::OnDemand);
    App::load(&runtime, AppConfig::new("app"), bytes)
}

/// The component is refused, and the message has all of these in it.
#[track_caller]
fn refused(bytes: &[u8], expected: &[&str]) {
    let message = match load(bytes) {
        Ok(_) => panic!("it was loaded; expected {expected:?}"),
        Err(error) => error.to_string(),
    };
    for part in expected {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    // What a person can use is neither of these.
    for part in ["panicked", "Stack backtrace", ".rs:", "\n\n"] {
        assert!(!message.contains(part), "`{part}` in: {message}");
    }
}

#[test]
fn what_is_no_webassembly_says_what_it_begins_with() {
    refused(
        b"",
        &[
            "not a WebAssembly file",
            "begins with nothing",
            "your build made",
        ],
    );
    refused(b"\0as", &["not a WebAssembly file", r"\x00as"]);
    refused(
        b"\x7fELF\x02\x01\x01\0rest",
        &["not a WebAssembly file", r"\x7fELF"],
    );
    refused(b"(component)", &["not a WebAssembly file", "(compone"]);
    refused(
        "<!DOCTYPE html>".as_bytes(),
        &["not a WebAssembly file", "<!DOCTYP"],
    );
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let expected = [
        "core WebAssembly module",
        "wasm32-wasip2",
        "wasm-tools component new",
    ];
    refused(b"\0asm\x01\0\0\0", &expected);
    refused(b"\0asm\x01\0\0\0 and what follows", &expected);
}

#[test]
fn a_component_without_the_export_lists_what_it_exports() {
    refused(
        &guest("no_export"),
        &[
            "does not export `wasm-gw:gateway/app@0.1.0`",
            "`acme:thing/other@1.2.3`",
        ],
    );
    refused(
        &guest("cli_command"),
        &[
            "does not export",
            "`wasi:cli/run@",
            "a command-line program",
            "cdylib",
        ],
    );
    // An empty component.
    refused(
        b"\0asm\x0d\0\x01\0",
        &["does not export", "it exports nothing"],
    );
}

#[test]
fn an_import_that_no_host_has_is_named() {
    refused(
        &guest("unknown_import"),
        &[
            "imports `acme:thing/unknown@1.2.3`",
            "does not offer",
            "WASI 0.2",
        ],
    );
}

#[test]
fn middleware_alone_is_told_to_be_composed() {
    refused(
        &guest("unplugged_middleware"),
        &[
            "middleware",
            "`wasm-gw:gateway/app@0.1.0`",
            "nothing is plugged in",
            "wac plug",
        ],
    );
}

#[test]
fn a_file_that_is_cut_off_is_refused_at_whatever_length() {
    let whole = guest("hello");
    let lengths = [
        4,
        5,
        7,
        9,
        10,
        20,
        100,
        1000,
        whole.len() / 2,
        whole.len() - 1,
    ];
    for length in lengths {
        refused(&whole[..length], &["this component"]);
    }
    refused(&whole[..whole.len() / 2], &["damaged, cut off"]);
    // With something behind its end too.
    refused(&[&whole[..], b"\0"].concat(), &["damaged, cut off"]);
}

#[test]
fn noise_is_refused() {
    let mut random = fastrand::Rng::with_seed(7);
    for preamble in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0"] {
        for _ in 0..50 {
            let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(200).collect();
            refused(&[preamble, &noise].concat(), &["this "]);
        }
    }
}

#[test]
fn a_component_that_was_altered_never_harms_the_host() {
    let whole = guest("hello");
    let mut random = fastrand::Rng::with_seed(11);
    let mut refusals = 0;
    // The first kilobytes are types and imports: every byte counts there.
    for _ in 0..16 {
        let mut altered = whole.clone();
        let at = random.usize(8..4000);
        altered[at] ^= 1 << random.u8(..8);
        if let Err(error) = load(&altered) {
            assert!(error.to_string().contains("component"), "{at}: {error}");
            refusals += 1;
        }
    }
    assert!(refusals > 4, "only {refusals} of them were noticed");
}

#[test]
fn one_that_starts_with_more_memory_than_it_may_have_is_refused_by_every_allocator() {
    let bytes = guest("hello");
    let allowed = 64 << 10;
    let expected = "bytes of memory and may have 65536; raise the memory limit";
    for allocator in [AllocatorChoice::OnDemand, AllocatorChoice::Auto] {
        // The app's own limit, below what the runtime can give; then both.
        for max_memory in [256 << 20, allowed] {
            let runtime = without_cache(max_memory, allocator);
            let mut config = AppConfig::new("hello");
            config.limits.memory = allowed;
            let message = App::load(&runtime, config, &bytes)
                .err()
                .unwrap()
                .to_string();
            assert!(
                message.contains(expected),
                "{allocator:?} {max_memory}: {message}"
            );
        }
    }
}

#[test]
fn a_limit_above_the_runtime_s_is_refused() {
    let runtime = without_cache(1 << 20, AllocatorChoice::OnDemand);
    let error = App::load(&runtime, AppConfig::new("hello"), &guest("hello"))
        .err()
        .unwrap();
    let expected = "memory limit of 268435456 bytes is above the runtime's 1048576";
    assert!(error.to_string().contains(expected), "{error}");
}

/// The component with other versions of WASI in its imports: `version(index)` for the import of this
/// index. They stand in the component's import sections, each a name with its length before it.
fn with_wasi(component: &[u8], version: impl Fn(usize) -> u32) -> Vec<u8> {
    const IMPORTS: u8 = 10;
    let mut out = component[..8].to_vec();
    let mut rest = &component[8..];
    let mut changed = 0;
    while let Some((&kind, after)) = rest.split_first() {
        let (size, after) = number(after);
        let (section, after) = after.split_at(size);
        rest = after;
        let mut section = section.to_vec();
        let start = section.windows(5).position(|window| window == b"wasi:");
        if let (IMPORTS, Some(start)) = (kind, start) {
            let length = usize::from(section[start - 1]);
            let name = String::from_utf8(section[start..start + length].to_vec()).unwrap();
            let (interface, _) = name.split_once("@0.2.").unwrap();
            let name = format!("{interface}@0.2.{}", version(changed));
            section[start - 1] = u8::try_from(name.len()).unwrap();
            section.splice(start..start + length, name.into_bytes());
            changed += 1;
        }
        out.push(kind);
        push_number(&mut out, section.len());
        out.extend_from_slice(&section);
    }
    assert!(changed > 5, "only {changed} imports of WASI");
    out
}

/// Reads an unsigned number in LEB128.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let digits = bytes[..=end].iter().rev();
    let value = digits.fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, &bytes[end + 1..])
}

fn push_number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[tokio::test]
async fn every_patch_version_of_wasi_0_2_links_and_answers() {
    // It imports the clocks, files and sockets too, and uses them.
    let component = guest("env_and_files");
    for patch in 0..=12 {
        let made_for = with_wasi(&component, |_| patch);
        let response = TestApp::of_component("wasi", made_for).get("/").await;
        let text = response.expect(200).text();
        assert!(text.contains("args: ok"), "0.2.{patch}: {text}");
    }
}

#[tokio::test]
async fn one_component_may_ask_for_several_versions_of_wasi() {
    let component = with_wasi(&guest("env_and_files"), |index| (index % 13) as u32);
    let response = TestApp::of_component("wasi", component).get("/").await;
    assert!(response.expect(200).text().contains("args: ok"));
}

#[test]
fn another_line_of_wasi_is_refused_by_name() {
    let component = guest("hello");
    let at = component
        .windows(13)
        .position(|window| window == b"wasi:io/error")
        .unwrap();
    let mut other = component.clone();
    // The first time that it stands there is the import: `@0.2.N` becomes `@0.3.N`.
    other[at + 16] = b'3';
    refused(&other, &["imports `wasi:io/error@0.3."]);
}

#[tokio::test]
async fn a_component_is_the_same_for_every_app_that_is_made_of_it() {
    let bytes = guest("environ_dump");
    let shared = runtime();
    let one = App::load(&shared, AppConfig::new("one"), &bytes).unwrap();
    let two = App::load(&shared, AppConfig::new("two"), &bytes).unwrap();
    assert_eq!(
        (one.config().name.as_str(), two.config().name.as_str()),
        ("one", "two")
    );
    let response = TestApp::of_component("two", bytes).get("/").await;
    assert!(
        response.text().contains("wasm_gw.app=\"two\""),
        "{}",
        response.text()
    );
}
