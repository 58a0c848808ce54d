//! What the bad neighbours of both servers do alike: `hostile` as an application of the gateway, and
//! `proxy` as a component for `wasmtime serve`.

use std::hint::black_box;

/// A MiB in bytes.
pub const MIB: usize = 1 << 20;

/// A text, or a list of bytes, as the canonical ABI has it in memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    /// Where it begins.
    pub at: *const u8,
    /// How many bytes it has.
    pub length: usize,
}

impl Text {
    /// This text, which is never freed.
    pub fn of(text: &'static str) -> Self {
        Self {
            at: text.as_ptr(),
            length: text.len(),
        }
    }
}

/// Header fields with values of a MiB each, so many of them. All values are the same text, so that the
/// guest pays for one and the host would for all.
pub fn large_fields(count: usize) -> Vec<[Text; 2]> {
    let value: &'static str = "x".repeat(MIB).leak();
    vec![[Text::of("x-large"), Text::of(value)]; count]
}

/// Computes for ever.
pub fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count).wrapping_add(1);
    }
}

/// Fills so many MiB, for ever. The optimiser makes one `memory.fill` of each turn.
pub fn fill(mib: usize) -> ! {
    let mut memory = vec![0_u8; mib * MIB];
    let mut with = 0_u8;
    loop {
        with = with.wrapping_add(1);
        memory.fill(with);
        black_box(&mut memory);
    }
}

/// Takes and touches memory, a MiB at a time, until the host gives no more.
pub fn take_all() {
    loop {
        let mut block: Vec<u8> = Vec::new();
        if block.try_reserve_exact(MIB).is_err() {
            return;
        }
        block.resize(MIB, 1);
        std::mem::forget(black_box(block));
    }
}

/// What would end a line of a response's head, or a text, too early: a status, and a field's name and value.
pub const INJECTIONS: &[[&str; 3]] = &[
    ["200 OK\r\nX-Injected: 1", "X-A", "a"],
    ["200 OK\nX-Injected: 1", "X-A", "a"],
    ["200 O\0K", "X-A", "a"],
    ["200 OK\r\n\r\nHTTP/1.1 200 OK", "X-A", "a"],
    ["200 OK", "X-A", "a\r\nX-Injected: 1"],
    ["200 OK", "X-A", "a\nX-Injected: 1"],
    ["200 OK", "X-A", "a\rX-Injected: 1"],
    ["200 OK", "X-A", "a\0b"],
    ["200 OK", "X-A", "a\r\n\r\nHTTP/1.1 200 OK"],
    ["200 OK", "X-A: a\r\nX-Injected", "1"],
    ["200 OK", "X-A\0", "a"],
    ["200 OK", "X A", "a"],
    ["200 OK", "", "a"],
    ["200 OK", "Transfer-Encoding", "chunked"],
    ["200 OK", "Connection", "close"],
];
