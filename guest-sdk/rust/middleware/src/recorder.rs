//! `recorder`: a `start-response` to hand to a wrapped application, and what it then said to it.

use alloc::vec::Vec;

use wasm_gw_guest::{Body, Result, StartResponse};

use crate::bindings::wasm_gw::gateway::recording;
use crate::filter;
use crate::{Filter, Head};

/// Records what a wrapped application says to its `start-response`, by the same rules, and tells the client nothing
/// (`docs/protocol.md`, 4.4).
///
/// What the application writes waits until it has returned; 16 MiB at most, and further writes fail.
///
/// ```no_run
/// # use std::convert::Infallible;
/// # use wasm_gw_guest::{Body, Environ, Result, StartResponse};
/// # use wasm_gw_guest_middleware::{Recorder, Wrapped};
/// /// Answers by a page where the application fails.
/// fn sorry(environ: Environ, start_response: StartResponse, app: Wrapped) -> Result<Body> {
///     let recorder = Recorder::new();
///     match app.call(environ, recorder.start_response()) {
///         Err(error) => {
///             start_response.restart("500 Internal Server Error", &[], &error)?;
///             Ok("we are sorry\n".into())
///         }
///         returned => recorder.forward(start_response, returned, |_| Ok(None::<Infallible>)),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Recorder(recording::Recorder);

impl Recorder {
    /// One that has recorded nothing.
    pub fn new() -> Self {
        Self(recording::Recorder::new())
    }

    /// The `start_response` to hand to the application.
    pub fn start_response(&self) -> StartResponse {
        StartResponse::from_raw(self.0.start_response())
    }

    /// The latest call that was accepted, if there was one. An application may make it as late as in its first
    /// block.
    pub fn started(&self) -> Option<Head> {
        self.0.started().map(Head::of)
    }

    /// What the application wrote since this was last asked, in order.
    pub fn take_written(&self) -> Vec<Vec<u8>> {
        self.0.take_written()
    }

    /// The head is out: from now on the application cannot replace it.
    pub fn commit(&self) {
        self.0.commit();
    }

    /// Says to `start_response` what the application said, once that is due: with the first block that is not
    /// empty, with what was written, or at the end. `choose` may change the head then, and name a [`Filter`] for
    /// what follows. The returned body is that of the application, filtered.
    ///
    /// If the application fails it is not called, unless something was written before.
    ///
    /// # Errors
    ///
    /// That of the application; of `choose` and the filter; what the host does not accept of the head; a client
    /// that has gone.
    pub fn forward<F: Filter + 'static>(
        self,
        start_response: StartResponse,
        returned: Result<Body>,
        choose: impl FnOnce(&mut Head) -> Result<Option<F>> + 'static,
    ) -> Result<Body> {
        filter::forward(self, start_response, returned, choose)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}
