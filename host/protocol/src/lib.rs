//! The gateway protocol of wasm-gw as values: what `app(environ, start-response)` means,
//! without sockets, clocks or WebAssembly. Requests go in as [`http::request::Parts`],
//! responses come out as [`http::response::Parts`] and blocks of bytes; everything between
//! is pure, so that it can be tested, fuzzed and embedded alone.
//!
//! The protocol is PEP 3333 (WSGI) carried over to components. `docs/protocol.md` has its
//! rules; comments here cite them by number (`S28`, `1.4.3`, `2.4`).
//!
//! # A request on its way in
//!
//! 1. [`check_sizes`], [`check_method`], [`check_framing`]: what needs only the head. The
//!    HTTP server asks before it calls any service.
//! 2. [`TrustedProxies::believe`]: who its client is, where a proxy stands before us.
//! 3. [`Target::parse`]: the request target and Host, accepted or refused.
//! 4. [`route`]: which mount the path is under, and its [`Split`] into SCRIPT_NAME and
//!    PATH_INFO.
//! 5. [`Environ::build`]: the variables. [`VARIABLES`] lists them.
//!
//! Each step may end the request with a [`Refusal`], which [`error_page`] turns into a
//! response that tells the client the status and nothing else.
//!
//! # A response on its way out
//!
//! An [`Exchange`] follows one response. The application's calls go in:
//! [`start`](Exchange::start), [`write`](Exchange::write), and the body it returned as
//! [`whole`](Exchange::whole), [`empty`](Exchange::empty) or a row of
//! [`block`](Exchange::block). What the host must send comes out as [`Send`]. The head is
//! kept back until the first byte of the body is known, so that an application can still
//! change its mind with an exception; once sent, it cannot.
//!
//! Strings on both ways are *native strings*, one code point a byte: see [`latin1`].
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use wasm_gw_protocol::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A request, as an HTTP server has it.
//! let (parts, ()) = http::Request::get("/shop/caf%C3%A9?page=2")
//!     .header("Host", "Example.com")
//!     .header("Accept-Language", "fr")
//!     .body(())?
//!     .into_parts();
//! let conn = ConnInfo::tcp("192.0.2.1:8080".parse()?, "198.51.100.7:50000".parse()?);
//!
//! // In: from its head to environ.
//! check_sizes(&parts, &HeadLimits::default())?;
//! check_method(&parts)?;
//! check_framing(&parts)?;
//! let target = Target::parse(&parts, conn.scheme)?;
//! let mounts = [Mount::root(), Mount::parse("/shop")?];
//! let (index, split) = route(mounts.iter(), target.path)?.ok_or("not found")?;
//! assert_eq!(index, 1);
//! let facts = Facts {
//!     conn: &conn,
//!     request_id: &RequestId::from_bits(1),
//!     server_name: None,
//!     server_software: "wasm-gw/0.1.0",
//!     app: "shop",
//!     extra: &[],
//! };
//! let environ = Environ::build(&parts, &target, split, &facts)?;
//! assert_eq!(environ.get("SCRIPT_NAME"), Some("/shop"));
//! assert_eq!(environ.get("PATH_INFO"), Some("/caf\u{c3}\u{a9}")); // bytes, not text
//! assert_eq!(environ.get("SERVER_NAME"), Some("example.com"));
//! assert_eq!(environ.get("HTTP_ACCEPT_LANGUAGE"), Some("fr"));
//!
//! // Out: what the application says, and what is to be sent.
//! let kind = RequestKind::of(&parts);
//! let mut exchange = Exchange::new(kind, ResponseLimits::default(), None);
//! let headers = [("Content-Type", "text/plain"), ("Content-Length", "5")];
//! exchange.start("200 OK", headers.into_iter(), false)?;
//!
//! let Send::HeadAndBlock(head, block) = exchange.block(Bytes::from("hel"))? else {
//!     panic!("the first block brings the head")
//! };
//! assert_eq!((head.parts.status.as_u16(), head.length), (200, Length::Known(5)));
//! assert_eq!(block, "hel");
//!
//! // Too much: cut off where the application said it would end.
//! assert!(matches!(exchange.block(Bytes::from("lo, world"))?, Send::Block(b) if b == "lo"));
//! assert!(!exchange.wants_more());
//! assert!(matches!(exchange.finish()?, Send::Nothing));
//! assert_eq!(exchange.take_notices(), [Notice::Truncated { announced: 5 }]);
//! # Ok(())
//! # }
//! ```

// In reading order. The blank lines keep rustfmt from sorting it.
mod connection;

mod request;

mod trusted;

mod forwarded;

mod target;

mod mount;

mod environ;

mod headers;

mod body;

mod response;

mod error;

mod escape;

pub mod latin1;

pub mod lint;

mod weaken;

#[cfg(test)]
mod testing;

/// The custom section in which a component may bring files along: a tar archive, in the component's last section.
/// A guest sees each folder at the top of it as a folder of its own, which can only be read.
pub const FILES_SECTION: &str = "wasm-gw:files";

/// The most bytes of that archive.
pub const FILES_MOST_BYTES: usize = 256 << 20;

/// The most files and folders in it.
pub const FILES_MOST: usize = 65_536;

pub use body::{InputBuffer, NeedMore};
pub use connection::{BodyError, ConnInfo, CpuTime, Endpoint, PublicUrl, RequestId, Scheme};
pub use environ::{Environ, Facts, Presence, VARIABLES, VarError, Variable};
pub use error::{Refusal, error_page, wants_json};
pub use escape::escape;
pub use headers::named_in_connection;
pub use mount::{Mount, MountError, Split, route};
pub use request::{
    ALLOWED_METHODS, HeadLimits, check_framing, check_method, check_sizes, content_length,
};
pub use response::{
    Broken, Exchange, Head, Length, Notice, Reason, RequestKind, ResponseLimits, Send, StartError,
    WriteError,
};
pub use target::{Authority, Target};
pub use trusted::{TrustedProxies, TrustedProxy, TrustedProxyError};
#[doc(hidden)]
pub use weaken::weak;

/// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
