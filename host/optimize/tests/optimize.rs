//! Components before and after: what they do, and which are left alone.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::sync::LazyLock;

use wasm_gw_optimize::{Unknown, optimize};
use wasmparser::{Parser, Payload};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

const LIBRARIES: &str = include_str!("components/libraries.wat");
const BRIDGE: &str = include_str!("components/bridge.wat");

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// What its function `run` returns, in a host that can greet.
fn run(component: &[u8]) -> u32 {
    try_run(component).unwrap()
}

/// The same of one that may not compile, be instantiated, or come to an end.
fn try_run(component: &[u8]) -> Result<u32, &'static str> {
    static ENGINE: LazyLock<Engine> =
        LazyLock::new(|| Engine::new(Config::new().consume_fuel(true)).unwrap());
    let component =
        Component::from_binary(&ENGINE, component).map_err(|_| "it does not compile")?;
    let mut linker = Linker::new(&ENGINE);
    linker
        .root()
        .func_wrap("greet", |_, (to,): (String,)| Ok((format!("hello, {to}"),)))
        .unwrap();
    let mut store = Store::new(&ENGINE, ());
    store.set_fuel(100_000).unwrap();
    let instance = linker
        .instantiate(&mut store, &component)
        .map_err(|_| "no instance can be made")?;
    let run = instance
        .get_typed_func::<(), (u32,)>(&mut store, "run")
        .map_err(|_| "it has no function run")?;
    let (number,) = run.call(&mut store, ()).map_err(|_| "it traps")?;
    Ok(number)
}

/// How many core modules it has, and how much they import of each other and of the host.
fn links(component: &[u8]) -> (usize, usize) {
    let (mut modules, mut imports) = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } => modules += 1,
            Payload::ImportSection(reader) => imports += reader.into_imports().count(),
            _ => {}
        }
    }
    (modules, imports)
}

#[track_caller]
fn left_alone(text: &str, why: &str) {
    match optimize(&binary(text)) {
        Err(Unknown::Shape(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("{:?}", other.map(|component| component.len())),
    }
}

#[test]
fn libraries_become_one_module_and_do_the_same() {
    let before = binary(LIBRARIES);
    let after = optimize(&before).unwrap();
    assert_eq!(run(&after), run(&before));
    assert_eq!(links(&before), (3, 14));
    // The memory alone.
    assert_eq!(links(&after), (2, 1));
}

#[test]
fn the_host_is_called_without_a_table_between_and_calls_back() {
    let before = binary(BRIDGE);
    let after = optimize(&before).unwrap();
    // "hello, world" is 12 long and begins with 104; it was begun once.
    assert_eq!(run(&before), 12_104_010);
    assert_eq!(run(&after), 12_104_010);
    assert_eq!(links(&before), (3, 4));
    // The memory, the table by which the host calls back, and the host's function.
    assert_eq!(links(&after), (2, 3));
}

#[test]
fn what_was_optimized_can_be_optimized_again() {
    for text in [LIBRARIES, BRIDGE] {
        let once = optimize(&binary(text)).unwrap();
        let twice = optimize(&once).unwrap();
        assert_eq!(run(&twice), run(&once));
        assert_eq!(links(&twice), links(&once));
    }
}

#[test]
fn a_table_that_is_called_in_another_way_is_fused_like_the_rest() {
    let other = BRIDGE.replace(
        "(call_indirect (type $greet)",
        "nop (call_indirect (type $greet)",
    );
    let before = binary(&other);
    let after = optimize(&before).unwrap();
    assert_eq!(run(&after), run(&before));
    assert_eq!(links(&after), (2, 3));
}

/// A module that is started when a table is filled, and one that comes afterwards.
fn begun(late: &str) -> String {
    format!(
        r#"(component
          (core module $main (memory (export "memory") 1) (global $seen (mut i32) (i32.const 0))
            (func $then (param i32)
              (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 10)) (local.get 0))))
            (func (export "one") (call $then (i32.const 1)) (call $then (i32.load (i32.const 4))))
            (func (export "two") (call $then (i32.const 2)))
            (func (export "run") (result i32) (global.get $seen)))
          (core module $shim (table (export "table") 1 1 funcref) (type $none (func))
            (func (export "two") (call_indirect (type $none) (i32.const 0))))
          (core module $fill
            (import "" "table" (table 1 1 funcref)) (import "" "one" (func $one)) (import "" "two" (func $two))
            (elem (i32.const 0) func $two) (start $one))
          (core module $late {late})
          (core instance $i (instantiate $main))
          (core instance $s (instantiate $shim))
          (alias core export $i "one" (core func $one)) (alias core export $i "two" (core func $two))
          (alias core export $s "table" (core table $table))
          (core instance $arguments
            (export "table" (table $table)) (export "one" (func $one)) (export "two" (func $two)))
          (core instance (instantiate $fill (with "" (instance $arguments))))
          (core instance (instantiate $late (with "main" (instance $i)) (with "shim" (instance $s))))
          (func (export "run") (result u32) (canon lift (core func $i "run"))))"#
    )
}

#[test]
fn modules_start_in_their_order() {
    let starts = begun(r#"(import "shim" "two" (func $two)) (start $two)"#);
    let before = binary(&starts);
    assert_eq!(run(&before), 102);
    assert_eq!(run(&optimize(&before).unwrap()), 102);
    left_alone(
        &begun(r#"(import "main" "memory" (memory 1)) (data (i32.const 4) "\05")"#),
        "starts before",
    );
}

#[test]
fn a_function_that_was_known_by_its_export_can_be_referred_to() {
    let before = binary(
        r#"(component
          (core module $m (memory 1) (type $number (func (result i32))) (table 1 funcref)
            (func $seven (export "seven") (result i32) (i32.const 7))
            (func (export "run") (result i32)
              (table.set (i32.const 0) (ref.func $seven))
              (call_indirect (type $number) (i32.const 0))))
          (core instance $i (instantiate $m))
          (func (export "run") (result u32) (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(run(&optimize(&before).unwrap()), 7);
}

#[test]
fn one_memory_may_have_two_names() {
    let before = binary(
        r#"(component
          (core module $m (memory (export "memory") 1))
          (core module $n (import "m" "a" (memory $a 1)) (import "m" "b" (memory $b 1))
            (func (export "run") (result i32)
              (i32.store $b (i32.const 0) (i32.const 7))
              (i32.load $a (i32.const 0))))
          (core instance $i (instantiate $m))
          (alias core export $i "memory" (core memory $memory))
          (core instance $both (export "a" (memory $memory)) (export "b" (memory $memory)))
          (core instance $j (instantiate $n (with "m" (instance $both))))
          (func (export "run") (result u32) (canon lift (core func $j "run"))))"#,
    );
    assert_eq!(run(&optimize(&before).unwrap()), 7);
}

#[test]
fn types_that_belong_together_count_one_by_one() {
    // The engine of these tests has no types of this kind, but the second validation looks at each index.
    let optimized = optimize(&binary(
        r#"(component
          (core module $a (memory (export "memory") 1)
            (rec (type (func (param i32))) (type (func (param i64))) (type (func (param f32))))
            (func (export "none")))
          (core module $b (import "a" "memory" (memory 1)) (type $number (func (result i32)))
            (func (export "run") (type $number) (i32.const 7)))
          (core instance $i (instantiate $a))
          (core instance $j (instantiate $b (with "a" (instance $i))))
          (func (export "run") (result u32) (canon lift (core func $j "run"))))"#,
    ));
    assert!(optimized.is_ok(), "{optimized:?}");
}

#[test]
fn what_cannot_be_instantiated_cannot_afterwards() {
    let beyond = BRIDGE.replace(
        "(elem (i32.const 0) func $greet)",
        "(elem (i32.const 0) func $greet) (elem (i32.const 100) func)",
    );
    let before = binary(&beyond);
    assert_eq!(try_run(&before), Err("no instance can be made"));
    assert_eq!(
        try_run(&optimize(&before).unwrap()),
        Err("no instance can be made")
    );
}

#[test]
fn globals_that_are_twice_each_other_take_no_time() {
    let twice = |from: usize| {
        format!(
            "(global $g{} i32 (i32.add (global.get $g{from}) (global.get $g{from})))",
            from + 1
        )
    };
    let globals: Vec<String> = (0..60).map(twice).collect();
    left_alone(
        &format!(
            "(component (core module $m (memory 1) (global $g0 i32 (i32.const 1)) {})
               (core instance (instantiate $m)))",
            globals.join(" ")
        ),
        "no number",
    );
}

#[test]
fn custom_sections_stay_and_the_last_one_stays_last() {
    let with = |component: &[u8]| {
        let mut component = component.to_vec();
        component.extend(b"\x00\x0a\x04lastfiles");
        component
    };
    let optimized = optimize(&with(&binary(LIBRARIES))).unwrap();
    assert!(optimized.ends_with(b"\x00\x0a\x04lastfiles"));
    assert_eq!(run(&optimized), run(&binary(LIBRARIES)));
}

#[test]
fn what_is_no_component_is_refused() {
    for damaged in [&b"nothing"[..], &binary(LIBRARIES)[..200], b""] {
        assert!(matches!(optimize(damaged), Err(Unknown::Invalid(_))));
    }
    left_alone("(module)", "core module");
}

/// Each of these is another component, or none.
fn with_a_byte_changed(text: &str, change: u8, step: usize) -> impl Iterator<Item = Vec<u8>> {
    let good = binary(text);
    (8..good.len()).step_by(step).map(move |at| {
        let mut other = good.clone();
        other[at] ^= change;
        other
    })
}

#[test]
fn whatever_comes_in_what_comes_out_is_valid() {
    for text in [LIBRARIES, BRIDGE] {
        for change in [0x01, 0x80, 0x7f] {
            for other in with_a_byte_changed(text, change, 1) {
                if let Err(Unknown::Failed(error)) = optimize(&other) {
                    panic!("{error}: {}", other.escape_ascii());
                }
            }
        }
    }
}

#[test]
fn what_a_changed_byte_does_it_does_afterwards_too() {
    let mut compared = 0;
    for text in [LIBRARIES, BRIDGE] {
        for other in with_a_byte_changed(text, 0x01, 3) {
            if let Ok(optimized) = optimize(&other) {
                assert_eq!(
                    try_run(&optimized),
                    try_run(&other),
                    "{}",
                    other.escape_ascii()
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn shapes_that_are_not_known_are_left_alone() {
    left_alone("(component)", "no core module");
    left_alone(
        "(component
           (core module $twice (memory 1))
           (core instance (instantiate $twice))
           (core instance (instantiate $twice)))",
        "two instances",
    );
    left_alone(
        "(component
           (core module $one (memory 1))
           (core module $two (memory 1))
           (core instance (instantiate $one))
           (core instance (instantiate $two)))",
        "several memories",
    );
    left_alone(
        "(component (core module $m) (core instance (instantiate $m)))",
        "no memory",
    );
    left_alone(
        r#"(component (import "m" (core module $m)) (core instance (instantiate $m)))"#,
        "passes core modules on",
    );
    left_alone(
        r#"(component (core module $m (memory 1)) (core instance (instantiate $m)) (export "m" (core module $m)))"#,
        "passes core modules on",
    );
    left_alone(
        r#"(component
             (core module $m)
             (component (alias outer 1 0 (core module $inner)) (core instance (instantiate $inner))))"#,
        "passes core modules on",
    );
    left_alone(
        r#"(component
             (core module $first (memory (export "memory") 1)
               (func $start (i32.store (i32.const 0) (i32.load (i32.const 4)))) (start $start))
             (core module $second (import "first" "memory" (memory 1)) (data (i32.const 4) "late"))
             (core instance $i (instantiate $first))
             (core instance (instantiate $second (with "first" (instance $i)))))"#,
        "starts before",
    );
    left_alone(
        r#"(component
             (core module $m (memory 1)
               (data $d (i32.const 0) "put at first")
               (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))))
             (core instance (instantiate $m)))"#,
        "put into memory at first",
    );
}
