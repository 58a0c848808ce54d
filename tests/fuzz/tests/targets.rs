//! Each target with its corpus, and then with bytes at random for some seconds: from scratch, and out of the corpus.
//! A failure says how to repeat it. `FUZZ_SECONDS` makes it longer, `FUZZ_SEED` makes it the same again, and
//! `FUZZ_INPUT=FILE` feeds one input to the target whose name the file begins with.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says where, and how to repeat it"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use wasm_gw_fuzz::{TARGETS, Target, descriptors, http, seen, watch_panics};

/// For each target, as part of all tests.
const SECONDS: u64 = 8;

/// So many inputs go before descriptors are counted: what is made when it is first asked for is no leak.
const FIRST: usize = 50;

/// Of so many inputs some come to all that the target is about.
const ENOUGH: u64 = 300;

/// One input may take so long; guests and sockets have limits far below.
const HANG: Duration = Duration::from_secs(120);

#[test]
fn environ() {
    fuzz("environ");
}

#[test]
fn exchange() {
    fuzz("exchange");
}

#[test]
fn http_bytes() {
    fuzz("http");
    assert_eq!(
        http::connections_left(),
        0,
        "requests are still in progress"
    );
}

#[test]
fn guest() {
    fuzz("guest");
}

#[test]
fn loader() {
    fuzz("loader");
}

fn fuzz(name: &str) {
    watch_panics();
    // One at a time: a panic is seen in the whole process, and so are descriptors.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let target = *TARGETS.iter().find(|target| target.name == name).unwrap();
    if let Some(file) = std::env::var_os("FUZZ_INPUT") {
        let file = PathBuf::from(file);
        let stem = file.file_name().unwrap().to_string_lossy().into_owned();
        if stem.starts_with(name) {
            (target.run)(&fs::read(&file).unwrap());
        }
        return;
    }
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "there is no seed for {name}");
    for input in &corpus {
        feed(target, input);
    }
    let end = Instant::now() + Duration::from_secs(variable("FUZZ_SECONDS").unwrap_or(SECONDS));
    let seed = variable("FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut random = Rng::with_seed(seed);
    for _ in 0..FIRST {
        feed(target, &input(&mut random, &corpus, target.most));
    }
    // All that is made once is there by now.
    let before = descriptors();
    let mut inputs = 0u64;
    while Instant::now() < end {
        feed(target, &input(&mut random, &corpus, target.most));
        inputs += 1;
    }
    let seen = seen();
    println!("{name}: {inputs} inputs, FUZZ_SEED={seed}, {seen:?}");
    assert!(inputs > 10, "only {inputs} inputs for {name}");
    for reached in target.reaches {
        let is_reached = inputs < ENOUGH || seen.contains_key(*reached);
        assert!(
            is_reached,
            "of {inputs} inputs none is \"{reached}\": {seen:?}"
        );
    }
    let begin = Instant::now();
    while descriptors() > before && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let after = descriptors();
    assert!(after <= before, "{before} descriptors have become {after}");
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// The committed seeds.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let listed =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listed.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Bytes from scratch, or a seed that was changed a little, or much.
fn input(random: &mut Rng, corpus: &[Vec<u8>], most: usize) -> Vec<u8> {
    let length = most.min(1 << random.usize(2..13));
    let length = random.usize(..length);
    if random.u8(..4) == 0 {
        return std::iter::repeat_with(|| random.u8(..))
            .take(length)
            .collect();
    }
    let mut input = random.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..1 << random.usize(..6) {
        let at = random.usize(..=input.len());
        let end = (at + random.usize(..32)).min(input.len());
        match random.u8(..7) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
            1 if at < input.len() => input[at] = random.u8(..),
            2 => input.insert(at, random.u8(..)),
            3 => drop(input.drain(at..end)),
            4 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => {
                let other = random.choice(corpus).cloned().unwrap_or_default();
                let from = random.usize(..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let more = random.usize(..64);
                input.extend(std::iter::repeat_with(|| random.u8(..)).take(more));
            }
        }
        input.truncate(most);
    }
    input
}

/// Runs it. Where it fails, or does not end, the input is kept.
fn feed(target: Target, input: &[u8]) {
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let copy = input.to_vec();
    let watchdog = std::thread::spawn(move || {
        use std::sync::mpsc::RecvTimeoutError;
        if waits.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{} hangs; {}", target.name, keep(target, &copy));
            std::process::abort();
        }
    });
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    drop(done);
    watchdog.join().unwrap();
    if let Err(panic) = outcome {
        eprintln!("{} failed; {}", target.name, keep(target, input));
        resume_unwind(panic);
    }
}

/// Writes an input down, and says how to run it again.
fn keep(target: Target, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in input {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    let file = folder.join(format!("{}-{hash:016x}", target.name));
    match fs::write(&file, input) {
        Ok(()) => format!(
            "again: FUZZ_INPUT={} cargo test -p wasm-gw-fuzz",
            file.display()
        ),
        Err(error) => format!("its input could not be kept: {error}"),
    }
}
