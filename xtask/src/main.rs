//! The project's own commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`, `cargo xtask
//! torture`, `cargo xtask dist`, and what they are made of.
#![expect(
    clippy::print_stderr,
    reason = "a command for people says what it does"
)]

mod advisories;
mod bench;
mod demo;
mod dist;
mod kit;
mod shell;
mod soak;
mod suite;
mod tidy;
mod tools;
mod torture;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask demo           build the hello guest and the host, serve it, print a curl line
cargo xtask demo --once    the same, ask once by itself, and stop
cargo xtask test           everything that CI checks: formatting, lints, docs, licences, all tests
cargo xtask bench          the speed of the server beside hyper, `wasmtime serve`, workerd, gunicorn
                           and granian; what it must be, and whether it is. With
    --quick                within three minutes, for a first look
    --rounds NUMBER        how often each run is made; tables have medians
    --only NAME,NAME       some works, parts, contenders or scenarios only
    --server PATH          this build of wasm-gw, in place of the checkout's as it is shipped;
                           again for another build beside it
    --plain                the checkout as `cargo build --release` makes it
    --no-wasmtime          without `wasmtime serve`
    --wasmtime-options ..  further options for it, as in \"-W timeout=2s\"
    --json FILE            all figures, too
    --load wrk|oha         what makes the load
    --component FILE       a component of your own, beside a hyper that says hello
    --rival NAME=COMMAND   a server of your own; {port} in the command is where its port goes
    --path /PATH           what these two are asked for
cargo xtask bench --python applications in Python, with a fresh sandbox for each request, beside gunicorn and
                           granian; with the options above but for --component and --rival
cargo xtask bench --fair, --bounded
                           hostile guests against processor time and memory, of the server and of
                           `wasmtime serve`; both at once if you like, and --speed with them
cargo xtask torture        attacks the server by bytes, connections, slowness, guests and want, and says for each
                           row what was expected and what it got. With
    --quick                in two minutes, with a server of the dev profile
    --prove                each row against a server without the row's defence, too: it must fail
    --only NAME,NAME       some rows only
    --server PATH          this build of wasm-gw, in place of a release build of the checkout
    --against wasmtime-serve, --against \"COMMAND with {port}\"
                           another server. What cannot apply to it is skipped
    --json FILE            the table, too
cargo xtask dist           the tarball, the .deb and the packages of the crates, in target/dist; each of them
                           tried. With
    --quick                of the dev profile and not compressed, to try and not to give away
    --install              `cargo install` from the packages of the crates, too
    --clean                the .deb on a new Debian under its systemd, too; as root, with mmdebstrap
                           and systemd-nspawn
    --binary PATH          this program, in place of one that is built
cargo xtask soak           one server under all kinds of requests, whose answers are known; whether memory and
                           descriptors stay as they are. With
    --minutes NUMBER       for so long; else an hour
    --release              a server of the release profile
    --server PATH          this program, in place of one that is built
    --options \"..\"         further options of the server, as in `--isolation app`
cargo xtask advisories     docs/advisories.toml against Cargo.lock, without a network
cargo xtask guests         build the examples for wasm32-wasip2
cargo xtask tidy           the house rules that no compiler checks
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(demo::Until::Stopped),
        ["demo", "--once"] => demo::run(demo::Until::Answered),
        ["test"] => suite::run(),
        ["bench", options @ ..] => bench::run(options),
        ["torture", options @ ..] => torture::run(options),
        ["dist", options @ ..] => dist::run(options),
        ["soak", options @ ..] => soak::run(options),
        ["guests"] => tools::ensure_wasm_target().and_then(|()| suite::build_examples()),
        ["tidy"] => tidy::run(),
        ["advisories"] => advisories::run(),
        [] | ["help" | "--help" | "-h"] => {
            eprint!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("there is no `cargo xtask {}`\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
