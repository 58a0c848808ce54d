//! Takes bytes on stdin and gives modules on stdout, each with its length in four bytes before it, the lowest first.
//! No bytes can be made nothing of: then the module is empty.

use std::io::{self, Read, Write};

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

fn main() -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while stdin.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        stdin.read_exact(&mut bytes)?;
        let module = module(&bytes).unwrap_or_default();
        stdout.write_all(&u32::try_from(module.len()).unwrap_or(0).to_le_bytes())?;
        stdout.write_all(&module)?;
        stdout.flush()?;
    }
    Ok(())
}

/// Memories, tables, segments and code, which runs by its start function. The first byte says which proposals there
/// are that the gateway runs nothing of.
fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let (&first, rest) = bytes.split_first()?;
    let config = Config {
        max_imports: 0,
        gc_enabled: first & 7 == 7,
        exceptions_enabled: first & 0x38 == 0x38,
        threads_enabled: first & 0xc0 == 0xc0,
        max_memory32_bytes: 4 << 20,
        max_memories: 3,
        max_tables: 3,
        max_instructions: 300,
        ..Config::default()
    };
    let module = Module::new(config, &mut Unstructured::new(rest)).ok()?;
    Some(module.to_bytes())
}
