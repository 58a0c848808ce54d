//! A guest without the standard library. It answers with its body, through memory of every kind that the
//! SDK's allocator gives out; with `?panic` it panics, with `?dropped` after it has dropped its environ, with
//! `?copied` after it has dropped a copy of it and then itself, with `?block` in a block of its body, with `?moved` too, when its environ is in there, with `?given` after it has given
//! its environ away.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use wasm_gw_guest::{Body, Environ, Error, Result, StartResponse};

/// More aligned than what `malloc` gives.
#[derive(Clone, Copy)]
#[repr(align(256))]
struct Aligned([u8; 256]);

fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
    let query = environ.query();
    let mut input = environ.input();
    if query == "copied" {
        drop(environ.copy());
    }
    if query == "given" {
        drop(environ.into_raw());
        panic!("asked to");
    }
    if ["dropped", "copied"].contains(&query.as_str()) {
        drop(environ);
        panic!("asked to");
    }
    assert!(query != "panic", "asked to");
    if ["block", "moved"].contains(&query.as_str()) {
        start_response.start("200 OK", &[])?;
        let moved = (query == "moved").then_some(environ);
        let mut number = 0;
        return Ok(Body::iter(core::iter::from_fn(move || {
            let _ = &moved;
            number += 1;
            assert!(number < 3, "a block is asked to");
            Some("block")
        })));
    }
    let mut aligned = Vec::new();
    let mut length = 0;
    loop {
        let line = input.next_line(Some(100))?;
        if line.is_empty() {
            break;
        }
        let mut block = Aligned([0; 256]);
        block.0[..line.len()].copy_from_slice(&line);
        block.0[255] = u8::try_from(line.len())?;
        length += line.len();
        // It grows again and again, and must stay aligned and as it was.
        aligned.push(block);
    }
    if aligned.as_ptr().addr() % 256 != 0 {
        return Err(Error::msg("not aligned"));
    }
    let mut body = Vec::with_capacity(length);
    for Aligned(block) in &aligned {
        body.extend_from_slice(&block[..usize::from(block[255])]);
    }
    start_response.start("200 OK", &[("content-type", "application/octet-stream")])?;
    Ok(body.into())
}

wasm_gw_guest::export!(app);
