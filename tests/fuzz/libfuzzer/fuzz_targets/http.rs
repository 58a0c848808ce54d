//! `http` for libfuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasm_gw_fuzz::http::run(data));
