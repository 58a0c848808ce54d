//! Write middleware for the wasm-gw gateway: a component that wraps an application, and with it is an application
//! again.
//!
//! It is a function like an application (see [`wasm_gw_guest`]), with the one that it wraps as a third argument:
//!
//! ```no_run
//! use wasm_gw_guest::{Body, Environ, Result, StartResponse};
//! use wasm_gw_guest_middleware::Wrapped;
//!
//! fn no_robots(environ: Environ, start_response: StartResponse, app: Wrapped) -> Result<Body> {
//!     if environ.path() == "/robots.txt" {
//!         start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
//!         return Ok("User-agent: *\nDisallow: /\n".into());
//!     }
//!     app.call_with_head(environ, start_response, |head| {
//!         head.set("X-Robots-Tag", "none");
//!     })
//! }
//!
//! wasm_gw_guest_middleware::export!(no_robots);
//! # fn main() {}
//! ```
//!
//! Neither side needs to know of the other. `wac plug` composes them:
//!
//! ```console
//! $ wac plug no_robots.wasm --plug app.wasm -o composed.wasm
//! $ wasm-gw serve composed.wasm
//! ```
//!
//! | to | call |
//! |---|---|
//! | change the request, or answer by itself | [`Wrapped::call`] |
//! | see or change status and headers | [`Wrapped::call_with_head`] |
//! | change the body | [`Wrapped::call_filtered`] |
//! | anything else, such as a page for an error | a [`Recorder`] |
//!
//! Blocks pass one by one, and `close` is passed on once, also for a body that is dropped.
//!
//! It is no feature of `wasm-gw-guest`: cargo would turn that on for all applications that are built with a
//! middleware, and each of them would then import an application.

#![no_std]

extern crate alloc;

mod filter;
mod head;
mod recorder;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::convert::Infallible;

pub use self::filter::Filter;
pub use self::head::Head;
pub use self::recorder::Recorder;

use self::bindings::wasm_gw::gateway::app as wrapped;
use wasm_gw_guest::{Body, Environ, Result, StartResponse};

/// For the macro.
#[doc(hidden)]
pub use wasm_gw_guest as guest;

/// What the world `middleware` imports beside that of an application.
mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package wasm-gw:guest-middleware;

            world imports {
                import wasm-gw:gateway/recording@0.1.0;
                import wasm-gw:gateway/app@0.1.0;
            }
        ",
        with: {
            "wasm-gw:gateway/types@0.1.0": wasm_gw_guest::raw::types,
            "wasm-gw:gateway/recording@0.1.0": generate,
            "wasm-gw:gateway/app@0.1.0": generate,
        },
    });
}

/// Makes a function the middleware that this component is.
///
/// It takes anything that is `Fn(Environ, StartResponse, Wrapped) -> Result<Body>` and stands once in a crate
/// whose `crate-type` is `cdylib`.
#[macro_export]
macro_rules! export {
    ($middleware:expr $(,)?) => {
        $crate::guest::export!(|environ, start_response| $crate::wrap(
            $middleware,
            environ,
            start_response
        ));
    };
}

/// What the macro expands to.
#[doc(hidden)]
pub fn wrap(
    middleware: impl FnOnce(Environ, StartResponse, Wrapped) -> Result<Body>,
    environ: Environ,
    start_response: StartResponse,
) -> Result<Body> {
    middleware(environ, start_response, Wrapped(()))
}

/// The application that this middleware wraps.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped(());

impl Wrapped {
    /// Calls it. It gets these two as they are, and its body can be returned as it is: blocks, bytes, or a body
    /// that the host produces, which does not pass through the middleware.
    ///
    /// To call it and keep something, give it an [`Environ::copy`].
    ///
    /// # Errors
    ///
    /// That of the application, to be raised again by `?`.
    pub fn call(&self, environ: Environ, start_response: StartResponse) -> Result<Body> {
        let body = wrapped::app(environ.into_raw(), start_response.into_raw())?;
        Ok(match body {
            wrapped::Body::Empty => Body::empty(),
            wrapped::Body::Bytes(bytes) => bytes.into(),
            wrapped::Body::Iter(blocks) => body_of(Passed(Some(blocks))),
            wrapped::Body::Host(body) => Body::host(body),
        })
    }

    /// Calls it, and lets `change` have the head before it goes out: at the first block that is not empty, or at
    /// the end. Until then the application may replace it, and only the last one is shown.
    ///
    /// # Errors
    ///
    /// As [`Recorder::forward`].
    pub fn call_with_head(
        &self,
        environ: Environ,
        start_response: StartResponse,
        change: impl FnOnce(&mut Head) + 'static,
    ) -> Result<Body> {
        let change = move |head: &mut Head| {
            change(head);
            Ok(None::<Infallible>)
        };
        self.call_filtered(environ, start_response, change)
    }

    /// The same where `choose` may also name a [`Filter`] for the body. Who changes the body decides on
    /// Content-Length anew, as a rule by `head.remove("Content-Length")` (`M8`).
    ///
    /// # Errors
    ///
    /// As [`Recorder::forward`].
    pub fn call_filtered<F: Filter + 'static>(
        &self,
        environ: Environ,
        start_response: StartResponse,
        choose: impl FnOnce(&mut Head) -> Result<Option<F>> + 'static,
    ) -> Result<Body> {
        let recorder = Recorder::new();
        let returned = self.call(environ, recorder.start_response());
        recorder.forward(start_response, returned, choose)
    }
}

/// An iterable on its way through.
trait Iterable {
    fn next(&mut self) -> Result<Option<Vec<u8>>>;
    fn close(&mut self) -> Result<()>;
}

fn body_of(iterable: impl Iterable + 'static) -> Body {
    let iterable = Rc::new(RefCell::new(iterable));
    let closing = Rc::clone(&iterable);
    Body::with_close(
        core::iter::from_fn(move || iterable.borrow_mut().next().transpose()),
        move || closing.borrow_mut().close(),
    )
}

/// That of the wrapped application, until it is closed.
struct Passed(Option<wrapped::Blocks>);

impl Iterable for Passed {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match &self.0 {
            Some(blocks) => Ok(blocks.next()?),
            None => Ok(None),
        }
    }

    fn close(&mut self) -> Result<()> {
        match self.0.take() {
            Some(blocks) => Ok(blocks.close()?),
            None => Ok(()),
        }
    }
}

/// Who calls an application closes what it returned (`M9`), also if nothing of it is used.
impl Drop for Passed {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = self.close();
    }
}
