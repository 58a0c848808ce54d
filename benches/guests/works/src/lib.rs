//! The works of the speed bench, as far as they are alike in every contender that is written in Rust:
//! what to answer, how large it is, what to reckon. How it is read and sent is each interface's own.

mod pages;

pub use pages::touch_pages;

/// The body of `/`, and of every work that has none of its own.
pub const HELLO: &str = "hello, world!\n";
pub const TEXT: (&str, &str) = ("content-type", "text/plain");

/// A work of the component `work`, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Headers,
    Out,
    In,
    Blocks,
    Cpu,
    Pages,
}

impl Work {
    /// The work of a path, without its query.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/headers" => Self::Headers,
            "/out" => Self::Out,
            "/in" => Self::In,
            "/blocks" => Self::Blocks,
            "/cpu" => Self::Cpu,
            "/pages" => Self::Pages,
            _ => return None,
        })
    }
}

/// `/headers`: the fields of the request that it counts begin so, in lower case.
pub const BENCH: &str = "x-bench-";
/// What it counted goes out under this name.
pub const SEEN: &str = "x-seen";
/// With the fields below, [`SEEN`], a type and a length it answers with ten.
pub const ANSWERS: [(&str, &str); 7] = [
    ("x-answer-1", "a value of the usual length"),
    ("x-answer-2", "no-cache, no-store, must-revalidate"),
    ("x-answer-3", "W/\"0815-1f2e3d4c5b6a\""),
    ("x-answer-4", "default-src 'self'; img-src *"),
    ("x-answer-5", "accept-encoding, cookie"),
    ("x-answer-6", "nosniff"),
    ("x-answer-7", "en"),
];

/// A body as blocks of one size.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    pub count: usize,
    /// The bytes of each.
    pub size: usize,
}

impl Blocks {
    pub const fn length(self) -> usize {
        self.count * self.size
    }

    /// One of them. They are alike.
    pub fn block(self) -> Vec<u8> {
        vec![b'x'; self.size]
    }
}

/// `/out`: a mebibyte in large blocks.
pub const OUT: Blocks = Blocks {
    count: 16,
    size: 64 << 10,
};
/// `/blocks`: nearly as much in small ones.
pub const BLOCKS: Blocks = Blocks {
    count: 10_000,
    size: 100,
};
/// `/in`: how much is asked for at a time, in bytes.
pub const READ: usize = 64 << 10;

/// `/cpu`: how often the generator steps. It takes native code about 5 ms.
pub const STEPS: u32 = 3_400_000;

/// `/cpu`: the state of Marsaglia's xorshift32 after [`STEPS`] steps.
pub fn cpu() -> u32 {
    // Hidden, so that it is not reckoned while this is compiled.
    let mut state = std::hint::black_box(2_463_534_242_u32);
    for _ in 0..STEPS {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
    }
    state
}
