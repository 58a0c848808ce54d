//! How a request ends: the one place where a failure becomes a status, and where it is logged.
//!
//! Before the head is out, a failure is a page; after it, the transfer is given up.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri, request};
use tokio::sync::oneshot;
use wasm_gw_protocol::{
    BodyError, ConnInfo, CpuTime, Refusal, RequestId, RequestKind, error_page, wants_json,
};

use crate::breaker::Switched;
use crate::clock::Expired;
use crate::error::Failure;
use crate::instance::State;
use crate::observer::{self, Observer};
use crate::output::ResponseBody;
use crate::record::Record;

/// Who asked, by what way, and in which form an error is wanted.
pub(crate) struct Asked {
    pub(crate) connection: ConnInfo,
    pub(crate) request_id: RequestId,
    /// Where the processor time of its guest is counted.
    pub(crate) cpu: CpuTime,
    method: Method,
    uri: Uri,
    /// That of the app that was asked, once that is known.
    pub(crate) record: Option<Arc<Record>>,
    json: bool,
    kind: RequestKind,
    /// Whoever watches this request.
    pub(crate) observer: Option<Observer>,
}

impl Asked {
    /// Takes what the server put into the extensions. Another server than ours may have put nothing
    /// there; the request then looks like one over a unix socket.
    pub(crate) fn of(parts: &mut request::Parts) -> Self {
        Self {
            connection: parts.extensions.remove().unwrap_or_else(ConnInfo::unix),
            request_id: parts
                .extensions
                .remove()
                .unwrap_or_else(|| RequestId::from_bits(fastrand::u128(..))),
            cpu: parts.extensions.remove().unwrap_or_default(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            record: None,
            json: wants_json(&parts.headers),
            kind: RequestKind {
                head: parts.method == Method::HEAD,
                version: parts.version,
            },
            observer: parts.extensions.remove(),
        }
    }

    pub(crate) fn kind(&self) -> RequestKind {
        self.kind
    }

    /// The one place where a failure becomes a status, and where it is logged.
    pub(crate) fn failed(&self, failure: &Failure) -> Response<ResponseBody> {
        self.report(failure, false);
        let page = error_page(&refusal(failure), Some(&self.request_id), self.json);
        page.map(ResponseBody::whole)
    }

    /// Ends a request that no guest was asked for.
    pub(crate) fn refuse(&self, head: oneshot::Sender<Response<ResponseBody>>, failure: &Failure) {
        if failure.is_timeout()
            && let Some(record) = &self.record
        {
            record.metrics.timed_out();
        }
        // A client that has gone meanwhile needs no answer.
        let _ = head.send(self.failed(failure));
    }

    /// Ends a request whose guest has come to its end, well or not.
    pub(crate) fn settle(&self, state: &mut State, outcome: Result<(), Failure>) {
        for notice in state.exchange.take_notices() {
            tracing::warn!(app = %state.app, request_id = %state.request_id, "{notice}");
        }
        state.log.flush();
        let failure = match outcome {
            Ok(()) => {
                self.remember(None, state);
                return state.output.complete();
            }
            Err(failure) => {
                let failure = failure.by_client(state.fault.take(), state.output.is_closed());
                state.observed(|| observer::event(&failure));
                failure
            }
        };
        self.remember(Some(&failure), state);
        if state.output.is_waiting() && !matches!(failure, Failure::Gone) {
            // A client that has gone meanwhile needs no answer.
            let _ = state.output.answer(self.failed(&failure));
        } else {
            let cut = state.output.is_streaming();
            self.report(&failure, cut);
            state.output.abort();
        }
    }

    /// What was asked for, as far as it may be what an app traps at.
    pub(crate) fn place(&self) -> (&Method, Option<&PathAndQuery>) {
        (&self.method, self.uri.path_and_query())
    }

    /// What this says of the app: for its numbers, and for its breaker.
    fn remember(&self, failure: Option<&Failure>, state: &State) {
        let Some(record) = &self.record else { return };
        let (metrics, breaker) = (&record.metrics, &record.breaker);
        let switched = match failure {
            None | Some(Failure::Exception(_) | Failure::Broken(_) | Failure::TooLarge(_)) => {
                breaker.answered()
            }
            Some(Failure::Trap(_) | Failure::Exit(_) | Failure::Exhausted { .. }) => {
                metrics.trapped();
                if state.was_short() {
                    // It may well be the neighbours' doing.
                    None
                } else if state.instantiated {
                    breaker.trapped(&self.place())
                } else {
                    breaker.trapped_at_instantiation()
                }
            }
            Some(failure) if failure.is_timeout() => {
                metrics.timed_out();
                None
            }
            Some(_) => None,
        };
        let Some(switched) = switched else { return };
        metrics.breaker(switched == Switched::Off);
        let app = &*record.name;
        match switched {
            Switched::Off => tracing::warn!(
                %app,
                "app {app} is switched off: {}. It is tried again once a second",
                if state.instantiated {
                    "all its requests trap"
                } else {
                    "making an instance traps"
                },
            ),
            Switched::On => tracing::info!(%app, "app {app} answers again, and is switched on"),
        }
    }

    /// The one log line of a failure. An application's is a warning; a client's is for whoever looks
    /// for its request id; that a client left is in the access log.
    fn report(&self, failure: &Failure, sent: bool) {
        let app = self.record.as_ref().map_or("-", |record| &*record.name);
        let request_id = &self.request_id;
        let aborted = if sent {
            "; the response is cut off"
        } else {
            ""
        };
        match failure {
            Failure::Gone | Failure::SwitchedOff => {
                tracing::debug!(%app, %request_id, "{failure}");
            }
            Failure::Refused(_) | Failure::Client(_) | Failure::Expired(Expired::Disconnected) => {
                tracing::info!(%app, %request_id, "{failure}{aborted}");
            }
            _ => tracing::warn!(%app, %request_id, "{failure}{aborted}"),
        }
    }
}

impl Failure {
    /// A guest that fails after it could not read the body fails by its client's fault (2.2). One
    /// that gives up because its client has gone has done what it should.
    fn by_client(self, fault: Option<BodyError>, gone: bool) -> Self {
        match (self, fault) {
            (Failure::Exception(_) | Failure::Broken(_), _) if gone => Failure::Gone,
            (
                Failure::Exception(_) | Failure::Broken(_) | Failure::Trap(_) | Failure::Exit(_),
                Some(fault),
            ) => Failure::Client(fault),
            (failure, _) => failure,
        }
    }
}

/// The status of a failure, and what else its answer says.
fn refusal(failure: &Failure) -> Refusal {
    let status = match failure {
        Failure::Refused(refusal) => return refusal.clone(),
        Failure::Client(fault) => fault.status().unwrap_or(StatusCode::BAD_REQUEST),
        Failure::Exception(_) | Failure::Broken(_) | Failure::TooLarge(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Failure::Trap(_) | Failure::Exit(_) | Failure::Exhausted { .. } => StatusCode::BAD_GATEWAY,
        Failure::Unavailable(_) | Failure::Short(_) | Failure::SwitchedOff => {
            let mut refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "");
            refusal.retry_after = Some(1);
            return refusal;
        }
        Failure::Expired(_) => StatusCode::GATEWAY_TIMEOUT,
        Failure::Gone => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, "")
}
