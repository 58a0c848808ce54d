//! Answers with 32 hexadecimal digits that std took from the random source of
//! WASI (the keys of its hash maps).
//! For: two instances never share a seed.

use std::hash::{BuildHasher, RandomState};

use wasm_gw_guest::{Body, Environ, Result, StartResponse};
use wasm_gw_test_guests::start_text;

fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
    let state = RandomState::new();
    start_text(&start_response)?;
    Ok(format!("{:016x}{:016x}\n", state.hash_one(0), state.hash_one(1)).into())
}

wasm_gw_guest::export!(app);
