//! Write a web application for the wasm-gw gateway.
//!
//! An application is a function of two arguments, as in PEP 3333 (WSGI): the
//! variables of the request and a callable that begins the response. It
//! returns the body.
//!
//! ```no_run
//! use wasm_gw_guest::{Body, Environ, Result, StartResponse};
//!
//! fn app(environ: Environ, start_response: StartResponse) -> Result<Body> {
//!     start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
//!     Ok("hello, world\n".into())
//! }
//!
//! wasm_gw_guest::export!(app);
//! # fn main() {}
//! ```
//!
//! With `crate-type = ["cdylib"]` and this one dependency it builds by
//! `cargo build --release --target wasm32-wasip2` and runs by
//! `wasm-gw serve target/wasm32-wasip2/release/<name>.wasm`.
//!
//! - The request: [`Environ`], its body [`Input`], its log [`Errors`].
//! - The response: [`StartResponse`], which gives a [`Writer`], and [`Body`].
//! - What fails: [`Error`], into which any [`std::error::Error`] turns by `?`.
//! - Text: every string of the gateway is a *native string*, one code point of
//!   U+0000..U+00FF for each byte; [`latin1`] converts.
//! - URLs: [`url::reconstruct`], [`shift_path_info`].
//!
//! Middleware, a component around an application, is written with the crate `wasm-gw-guest-middleware`.
//!
//! This crate is the comfortable form of `wit/gateway.wit` and adds no rules of
//! its own: the host checks. What it leaves out is in [`raw`]. The rule ids in
//! these pages (`S28`, `A13`) are those of `docs/protocol.md`.
//!
//! Compiled for another target than wasm the crate builds, for unit tests of
//! your own code, but every call of the host panics.
//!
//! # Without `std`
//!
//! The standard library imports some twenty functions of WASI, to print what a panic says among others, and
//! the host links each of them for each request. A crate that is `no_std` does without, and a short request
//! costs 6 % less:
//!
//! ```toml
//! wasm-gw-guest = { version = "0.1", default-features = false }
//! ```
//!
//! This crate then brings an allocator and a panic handler, which writes to the log of the request. What
//! needs [`std::io`] is not there: [`Input`] as a reader, [`Errors`] and [`Writer`] as writers,
//! `Body::reader`.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(all(not(feature = "std"), target_family = "wasm"))]
mod bare;
mod body;
mod environ;
mod error;
mod export;
mod held;
#[cfg(feature = "http")]
pub mod http;
mod input;
pub mod latin1;
mod log;
pub mod raw;
mod shift;
mod start;
pub mod url;

pub use body::{Block, Blocks, Body, BodyKind, CloseOutcome, IntoBytes};
pub use environ::Environ;
pub use error::{Error, Result};
pub use input::Input;
pub use log::Errors;
pub use raw::types::{IoError, RunFlags, StartError, WriteError};
pub use shift::shift_path_info;
pub use start::{StartResponse, Writer};

#[doc(hidden)]
pub use export::__call;
