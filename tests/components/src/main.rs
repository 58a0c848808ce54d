//! Core modules in text, made into applications by the tool that compilers use, with an adapter for
//! WASI preview 1. `tests/build.rs` runs it; the tests are in `tests/it/hand_made.rs`.

use std::path::PathBuf;
use std::{env, fs};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

fn main() {
    let folder = PathBuf::from(env::args_os().nth(1).expect("the folder to write to"));
    fs::create_dir_all(&folder).expect("the folder can be made");
    for (name, bytes) in [
        ("made_by_hand", component("", "")),
        ("preview1", preview1()),
        ("table_grow_100000", table_grow(100_000)),
        ("table_grow_most", table_grow(u32::MAX / 2)),
        ("traps_at_start", traps_at_start()),
        ("gigabyte_of_headers", gigabyte_of_headers()),
        ("any_calls", any_calls()),
        ("subtype", of_types("(sub (func))", "ref.test (ref $asked)")),
        ("type_test", of_types("(func)", "ref.test (ref $asked)")),
        ("type_cast", of_types("(func)", "ref.cast (ref $asked)")),
        ("notify", notify()),
        ("exception", exception()),
    ] {
        let path = folder.join(name).with_extension("wasm");
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Asks for its arguments, of which there is at least one (C programs read the first), and writes a
/// line to stdout.
fn preview1() -> Vec<u8> {
    let imports = r#"(import "wasi_snapshot_preview1" "args_sizes_get"
            (func $arguments (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))"#;
    let work = r#"(if (call $arguments (i32.const 3000) (i32.const 3004)) (then (unreachable)))
            (if (i32.eqz (i32.load (i32.const 3000))) (then (unreachable)))
            (i32.store (i32.const 3008) (i32.const 1040))
            (i32.store (i32.const 3012) (i32.const 13))
            (if (call $write (i32.const 1) (i32.const 3008) (i32.const 1) (i32.const 3016))
                (then (unreachable)))"#;
    component(imports, work)
}

/// Grows its table by this many elements, and traps if it may not.
fn table_grow(elements: u32) -> Vec<u8> {
    let grow = format!("(table.grow $table (ref.null func) (i32.const {elements}))");
    component(
        "",
        &format!("(if (i32.eq {grow} (i32.const -1)) (then (unreachable)))"),
    )
}

/// Traps when it is instantiated, by its start function.
fn traps_at_start() -> Vec<u8> {
    component(
        "(func $begin (unreachable)) (start $begin)",
        "(unreachable)",
    )
}

/// Does this to a function of another type than the one that it asks for: of the proposal for garbage collection,
/// though nothing is ever collected.
fn of_types(asked: &str, instruction: &str) -> Vec<u8> {
    component(
        &format!(
            "(type $asked {asked})
        (func $other (param i32))
        (elem declare func $other)"
        ),
        &format!(
            "(table.set $table (i32.const 0) (ref.func $other))
            (drop ({instruction} (table.get $table (i32.const 0))))"
        ),
    )
}

/// Wakes threads, of which there are none.
fn notify() -> Vec<u8> {
    component(
        "",
        "(drop (memory.atomic.notify (i32.const 1024) (i32.const 1)))",
    )
}

/// Throws an exception.
fn exception() -> Vec<u8> {
    component("(tag $thrown)", "(throw $thrown)")
}

/// Hands over a thousand headers whose values are one and the same MiB of its memory, which a
/// compiler's guest would have to have a thousand times.
fn gigabyte_of_headers() -> Vec<u8> {
    let work = r#"
            (local $at i32)
            (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))
            (memory.fill (i32.const 1048576) (i32.const 97) (i32.const 1048576))
            (local.set $at (i32.const 131072))
            (loop $each
                (i32.store (local.get $at) (i32.const 1048576))
                (i32.store offset=4 (local.get $at) (i32.const 7))
                (i32.store offset=8 (local.get $at) (i32.const 1048576))
                (i32.store offset=12 (local.get $at) (i32.const 1048576))
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (br_if $each (i32.lt_u (local.get $at) (i32.const 147456))))
            (call $start (local.get $start_response) (i32.const 1024) (i32.const 6)
                (i32.const 131072) (i32.const 1024)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 2048))
            (unreachable)"#;
    component("", work)
}

/// An application whose `app` does this and then answers "made by hand\n".
///
/// The text may use the table `$table`, and begin with locals. The fields are imports first, then
/// what else the module should have.
fn component(fields: &str, work: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "wasm-gw:gateway/types@0.1.0" "[method]start-response.start"
            (func $start (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        {fields}
        (memory (export "memory") 16)
        (table $table 1 funcref)
        (global $free (mut i32) (i32.const 65536))
        (data (i32.const 1024) "200 OK")
        (data (i32.const 1040) "made by hand\n")

        ;; Never gives anything back: there is one request.
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))

        (func (export "wasm-gw:gateway/app@0.1.0#app")
            (param $environ i32) (param $start_response i32) (result i32)
            {work}
            ;; No headers, no exc-info; the outcome goes to 2048.
            (call $start (local.get $start_response) (i32.const 1024) (i32.const 6)
                (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 2048))
            (if (i32.load8_u (i32.const 2048)) (then (unreachable)))
            ;; ok(bytes("made by hand\n"))
            (i32.store8 (i32.const 2100) (i32.const 0))
            (i32.store8 (i32.const 2104) (i32.const 1))
            (i32.store (i32.const 2108) (i32.const 1040))
            (i32.store (i32.const 2112) (i32.const 13))
            (i32.const 2100))

        (func (export "wasm-gw:gateway/app@0.1.0#[method]blocks.next") (param i32) (result i32)
            (unreachable))
        (func (export "wasm-gw:gateway/app@0.1.0#[method]blocks.close") (param i32) (result i32)
            (unreachable))
    )"#
    );
    let (resolve, world) = application();
    encode(wat::parse_str(&text).unwrap(), &resolve, world)
}

/// An application that imports all that there is, calls nothing and traps when it is called: `tests/fuzz` puts
/// modules of its own in the place of the first in it.
fn any_calls() -> Vec<u8> {
    let (resolve, world) = application();
    let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    encode(dummy_module(&resolve, world, mangling), &resolve, world)
}

fn application() -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/gateway.wit");
    let package = resolve.push_file(wit).unwrap();
    let world = resolve.select_world(&[package], Some("application"));
    (resolve, world.unwrap())
}

fn encode(mut module: Vec<u8>, resolve: &Resolve, world: WorldId) -> Vec<u8> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .adapter(PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}
