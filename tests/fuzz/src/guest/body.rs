//! What a function does: calls of imports one after another, with arguments that are often nearly right, and now and
//! then something that no compiler would write.

use wasm_encoder::{BlockType, Function, Instruction as I, MemArg, ValType};

use super::component::Shape;
use crate::source::Source;

/// Where the words are in memory.
pub(super) const DATA: i32 = 1024;

/// Texts for arguments; bytes at random follow them.
pub(super) const WORDS: [&str; 12] = [
    "200 OK",
    "204 No Content",
    "Content-Type",
    "text/plain",
    "Content-Length",
    "13",
    "made at random",
    "PATH_INFO",
    "HTTP_HOST",
    "Transfer-Encoding",
    "a\r\nb",
    "\u{e9}\u{100}",
];

/// Fields of a head, as a list of two texts each lies in memory.
pub(super) const HEADERS: i32 = 1536;

/// They are of these words.
pub(super) const PAIRS: [(usize, usize); 6] = [(2, 3), (8, 3), (4, 5), (9, 3), (10, 3), (2, 11)];

/// The bytes of [`HEADERS`].
pub(super) fn headers() -> Vec<u8> {
    let word = |index: usize| {
        let before: usize = WORDS[..index].iter().map(|word| word.len()).sum();
        let place = DATA + i32::try_from(before).unwrap_or(0);
        let length = i32::try_from(WORDS[index].len()).unwrap_or(0);
        [place.to_le_bytes(), length.to_le_bytes()].concat()
    };
    let fields = PAIRS
        .iter()
        .map(|(name, value)| [word(*name), word(*value)].concat());
    fields.collect::<Vec<_>>().concat()
}

/// Where calls put their results, and functions their own.
const SCRATCH: i32 = 2048;
const RESULT: i32 = 4096;

/// The global with the next free memory, and the one that counts calls of `next`.
const FREE: u32 = 0;
const BLOCKS: u32 = 1;

/// The body of one exported function.
pub(super) fn of(shape: &Shape, name: &str, ty: u32, source: &mut Source<'_>) -> Function {
    let (params, results) = shape.ty(ty);
    let first_local = u32::try_from(params.len()).unwrap_or(0);
    let body = Body {
        shape,
        params,
        first_local,
        function: Function::new([(4, ValType::I32), (1, ValType::I64)]),
    };
    match name.ends_with("realloc") && !source.once_in(8) {
        true => body.realloc(),
        false => body.any(name, results, source),
    }
}

struct Body<'a> {
    shape: &'a Shape,
    params: &'a [ValType],
    /// Four of i32, then one of i64.
    first_local: u32,
    function: Function,
}

const fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index: 0,
    }
}

impl Body<'_> {
    fn push(&mut self, instructions: &[I<'_>]) {
        for instruction in instructions {
            self.function.instruction(instruction);
        }
    }

    /// Never gives anything back, and grows where it must.
    fn realloc(mut self) -> Function {
        let start = self.first_local;
        self.push(&[
            I::GlobalGet(FREE),
            I::I32Const(15),
            I::I32Add,
            I::I32Const(-16),
            I::I32And,
            I::LocalTee(start),
            // The size is the last parameter.
            I::LocalGet(self.first_local - 1),
            I::I32Add,
            I::GlobalSet(FREE),
            I::GlobalGet(FREE),
            I::MemorySize(0),
            I::I32Const(16),
            I::I32Shl,
            I::I32GtU,
            I::If(BlockType::Empty),
            I::LocalGet(self.first_local - 1),
            I::I32Const(16),
            I::I32ShrU,
            I::I32Const(1),
            I::I32Add,
            I::MemoryGrow(0),
            I::Drop,
            I::End,
            I::LocalGet(start),
            I::End,
        ]);
        self.function
    }

    fn any(mut self, name: &str, results: &[ValType], source: &mut Source<'_>) -> Function {
        let is_app = name.ends_with("#app") && !name.starts_with("cabi_post");
        // These run before `app` and after it, and most that they could call traps there.
        let is_quiet = ["post", "dtor", "realloc", "_initialize"]
            .iter()
            .any(|part| name.contains(part));
        let calls = if is_quiet && !source.once_in(8) {
            0
        } else {
            source.below(12)
        };
        let before = if is_app && source.once_in(4) {
            calls
        } else {
            0
        };
        if is_app {
            self.handles();
        }
        self.calls(before, source);
        if is_app && !source.once_in(8) {
            self.start();
        }
        self.calls(calls - before, source);
        match (name, results) {
            (_, []) => {}
            (_, [ValType::I32]) if source.once_in(8) => self.i32(source),
            (_, [ValType::I32]) if is_app => self.answer(source),
            (name, [ValType::I32]) if name.ends_with(".next") => self.block(source),
            (_, [ValType::I32]) => self.push(&[
                I::I32Const(RESULT),
                I::I32Const(0),
                I::I32Store(at(0)),
                I::I32Const(RESULT),
            ]),
            (_, results) => {
                for result in results {
                    self.value(*result, source);
                }
            }
        }
        self.push(&[I::End]);
        self.function
    }

    /// The body and the log, to begin with.
    fn handles(&mut self) {
        for (name, local) in [("environ.input", 0), ("environ.errors", 1)] {
            if let Some(get) = self.shape.import(name) {
                let local = self.first_local + local;
                self.push(&[I::LocalGet(0), I::Call(get), I::LocalSet(local)]);
            }
        }
    }

    /// `start("200 OK", [], none)`, as a compiler would write it.
    fn start(&mut self) {
        let Some(start) = self.shape.import("start-response.start") else {
            return;
        };
        let (params, _) = self.shape.ty(self.shape.imports[start as usize].2);
        let last = params.len() - 1;
        for (index, ty) in params.iter().enumerate() {
            match (index, ty) {
                (0, _) => self.push(&[I::LocalGet(1)]),
                (1, _) => self.push(&[I::I32Const(DATA)]),
                (2, _) => self.push(&[I::I32Const(6)]),
                (_, ValType::I64) => self.push(&[I::I64Const(0)]),
                _ if index == last => self.push(&[I::I32Const(SCRATCH)]),
                _ => self.push(&[I::I32Const(0)]),
            }
        }
        self.push(&[I::Call(start)]);
    }

    /// Ok of a body, of each kind.
    fn answer(&mut self, source: &mut Source<'_>) {
        let kind = source.below(4);
        for (offset, value) in [
            (0, 0),
            (4, i32::try_from(kind).unwrap_or(0)),
            (8, DATA),
            (12, source.one_of(&[13, 0, 100, 70_000])),
        ] {
            self.push(&[
                I::I32Const(RESULT),
                I::I32Const(value),
                I::I32Store(at(offset)),
            ]);
        }
        let make = match kind {
            2 => self
                .shape
                .import("[resource-new]blocks")
                .map(|new| (new, false)),
            3 => self
                .shape
                .import("host-body.of-input")
                .map(|new| (new, true)),
            _ => None,
        };
        if let Some((make, takes_input)) = make {
            self.push(&[I::I32Const(RESULT)]);
            match (takes_input, self.shape.import("environ.input")) {
                (true, Some(input)) => self.push(&[I::LocalGet(0), I::Call(input)]),
                _ => self.push(&[I::I32Const(7)]),
            }
            self.push(&[I::Call(make), I::I32Store(at(8))]);
        }
        self.push(&[I::I32Const(RESULT)]);
    }

    /// A few blocks, then none.
    fn block(&mut self, source: &mut Source<'_>) {
        let blocks = source.one_of(&[3, 0, 1, 1000, i32::MAX]);
        let length = source.one_of(&[13, 0, 5000, 200_000]);
        self.push(&[
            I::GlobalGet(BLOCKS),
            I::I32Const(1),
            I::I32Add,
            I::GlobalSet(BLOCKS),
            I::I32Const(RESULT),
            I::I32Const(0),
            I::I32Store(at(0)),
            I::I32Const(RESULT),
            I::GlobalGet(BLOCKS),
            I::I32Const(blocks),
            I::I32LeU,
            I::I32Store(at(4)),
            I::I32Const(RESULT),
            I::I32Const(DATA),
            I::I32Store(at(8)),
            I::I32Const(RESULT),
            I::I32Const(length),
            I::I32Store(at(12)),
            I::I32Const(RESULT),
        ]);
    }

    fn calls(&mut self, count: usize, source: &mut Source<'_>) {
        for _ in 0..count {
            match source.below(24) {
                0 => self.push(&[I::I32Const(1), I::MemoryGrow(0), I::Drop]),
                1 => {
                    self.i32(source);
                    self.push(&[I::MemoryGrow(0), I::LocalSet(self.first_local)]);
                }
                2 => {
                    self.i32(source);
                    self.i32(source);
                    self.push(&[I::I32Store(at(0))]);
                }
                3 => {
                    for _ in 0..3 {
                        self.i32(source);
                    }
                    self.push(&[I::MemoryFill(0)]);
                }
                4 => {
                    self.push(&[I::RefNull(wasm_encoder::HeapType::FUNC)]);
                    self.i32(source);
                    self.push(&[I::TableGrow(0), I::Drop]);
                }
                5 if source.once_in(4) => self.push(&[I::Unreachable]),
                6 if source.once_in(4) => {
                    // For ever.
                    self.push(&[I::Loop(BlockType::Empty), I::Br(0), I::End]);
                }
                7 | 8 => self.many(source),
                _ => self.call(source),
            }
        }
    }

    /// One call, again and again.
    fn many(&mut self, source: &mut Source<'_>) {
        let counter = self.first_local + 3;
        let times = source.one_of(&[3, 600, 20_000, -1]);
        self.push(&[
            I::I32Const(times),
            I::LocalSet(counter),
            I::Loop(BlockType::Empty),
        ]);
        self.call(source);
        self.push(&[
            I::LocalGet(counter),
            I::I32Const(1),
            I::I32Sub,
            I::LocalTee(counter),
            I::BrIf(0),
            I::End,
        ]);
    }

    fn call(&mut self, source: &mut Source<'_>) {
        let mut index = source.below(self.shape.imports.len());
        if self.shape.imports[index].1.contains("drop") && !source.once_in(4) {
            index = source.below(self.shape.imports.len());
        }
        let (_, name, ty) = &self.shape.imports[index];
        let (params, results) = self.shape.ty(*ty);
        let own = name
            .strip_prefix("[method]")
            .and_then(|name| name.split('.').next());
        for (position, ty) in params.iter().enumerate() {
            if position == 0 && own.is_some() && !source.once_in(8) {
                self.handle_of(own.unwrap_or_default());
            } else if position + 1 == params.len() && results.is_empty() && !source.once_in(8) {
                // The last is where the result goes.
                self.push(&[I::I32Const(SCRATCH + 4 * i32::from(source.byte() % 8))]);
            } else {
                self.value(*ty, source);
            }
        }
        self.push(&[I::Call(u32::try_from(index).unwrap_or(0))]);
        let kept = match name.rsplit('.').next() {
            Some("input" | "of-bytes") => Some(0),
            Some("errors") => Some(1),
            Some("of-input") => Some(2),
            _ => None,
        };
        for result in results.iter().rev() {
            match (result, kept) {
                (ValType::I32, Some(local)) => self.push(&[I::LocalSet(self.first_local + local)]),
                (ValType::I64, _) => self.push(&[I::LocalSet(self.first_local + 4)]),
                _ => self.push(&[I::Drop]),
            }
        }
    }

    /// One that is probably of this resource.
    fn handle_of(&mut self, resource: &str) {
        let is_app = self.params.len() == 2;
        match resource {
            "environ" if is_app => self.push(&[I::LocalGet(0)]),
            "start-response" if is_app => self.push(&[I::LocalGet(1)]),
            "input" => self.push(&[I::LocalGet(self.first_local)]),
            "errors" => self.push(&[I::LocalGet(self.first_local + 1)]),
            "host-body" => self.push(&[I::LocalGet(self.first_local + 2)]),
            // In the result of `start`.
            "writer" => self.push(&[I::I32Const(SCRATCH), I::I32Load(at(4))]),
            _ => self.push(&[I::I32Const(1)]),
        }
    }

    fn value(&mut self, ty: ValType, source: &mut Source<'_>) {
        match ty {
            ValType::I32 => self.i32(source),
            ValType::I64 => match source.below(3) {
                0 => self.push(&[I::I64Const(i64::from(source.byte()))]),
                1 => self.push(&[I::LocalGet(self.first_local + 4)]),
                _ => self.push(&[I::I64Const(source.u64() as i64)]),
            },
            ValType::F32 => self.push(&[I::F32Const(f32::from_bits(source.u32()).into())]),
            ValType::F64 => self.push(&[I::F64Const(f64::from_bits(source.u64()).into())]),
            ValType::V128 => self.push(&[I::V128Const(0)]),
            ValType::Ref(_) => self.push(&[I::RefNull(wasm_encoder::HeapType::FUNC)]),
        }
    }

    /// A handle, a place in memory, a length, or anything.
    fn i32(&mut self, source: &mut Source<'_>) {
        match source.below(11) {
            10 => self.push(&[I::I32Const(HEADERS)]),
            0..=2 => self.push(&[I::I32Const(i32::from(source.byte() % 8))]),
            3 | 4 => {
                let local = source.below(self.first_local as usize + 3);
                let local = u32::try_from(local).unwrap_or(0);
                let is_i32 = self
                    .params
                    .get(local as usize)
                    .is_none_or(|ty| *ty == ValType::I32);
                self.push(&[I::LocalGet(if is_i32 { local } else { self.first_local })]);
            }
            5 => self.push(&[
                I::I32Const(SCRATCH + 4 * i32::from(source.byte() % 16)),
                I::I32Load(at(0)),
            ]),
            6 | 7 => self.push(&[I::I32Const(DATA + i32::from(source.byte()))]),
            8 => self.push(&[I::I32Const(source.one_of(&[
                0,
                1,
                6,
                13,
                100,
                65_536,
                1 << 20,
                -1,
                i32::MAX,
                i32::MIN,
            ]))]),
            _ => self.push(&[I::I32Const(source.u32() as i32)]),
        }
    }
}
