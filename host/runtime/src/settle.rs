//! How a request ends: the one place where a failure becomes a status, and where it is logged.
//!
//! Before the head is out, a failure is a page; after it, the transfer is given up.

use http::{Method, Response, StatusCode, request};
use wasm_gw_protocol::{
    BodyError, ConnInfo, CpuTime, Endpoint, Refusal, RequestId, RequestKind, Scheme, error_page,
    wants_json,
};

use crate::error::Failure;
use crate::instance::State;
use crate::output::ResponseBody;

/// Who asked, by what way, and in which form an error is wanted.
pub(crate) struct Asked {
    pub(crate) connection: ConnInfo,
    pub(crate) request_id: RequestId,
    /// Where the processor time of its guest is counted.
    pub(crate) cpu: CpuTime,
    json: bool,
    kind: RequestKind,
}

impl Asked {
    /// Takes what the server put into the extensions. Another server than ours may have put nothing
    /// there; the request then looks like one over a unix socket.
    pub(crate) fn of(parts: &mut request::Parts) -> Self {
        Self {
            connection: parts.extensions.remove().unwrap_or(ConnInfo {
                scheme: Scheme::Http,
                local: Endpoint::Unix,
                remote: Endpoint::Unix,
            }),
            request_id: parts
                .extensions
                .remove()
                .unwrap_or_else(|| RequestId::from_bits(fastrand::u128(..))),
            cpu: parts.extensions.remove().unwrap_or_default(),
            json: wants_json(&parts.headers),
            kind: RequestKind {
                head: parts.method == Method::HEAD,
                version: parts.version,
            },
        }
    }

    pub(crate) fn kind(&self) -> RequestKind {
        self.kind
    }

    /// The one place where a failure becomes a status, and where it is logged.
    pub(crate) fn failed(&self, app: &str, failure: &Failure) -> Response<ResponseBody> {
        report(app, &self.request_id, failure, false);
        let page = error_page(&refusal(failure), Some(&self.request_id), self.json);
        page.map(ResponseBody::whole)
    }

    /// Ends a request whose guest has come to its end, well or not.
    pub(crate) fn settle(&self, state: &mut State, outcome: Result<(), Failure>) {
        for notice in state.exchange.take_notices() {
            tracing::warn!(app = %state.app, request_id = %state.request_id, "{notice}");
        }
        state.log.flush();
        let failure = match outcome {
            Ok(()) => return state.output.complete(),
            Err(failure) => failure.by_client(state.fault.take(), state.output.is_closed()),
        };
        if state.output.is_waiting() && !matches!(failure, Failure::Gone) {
            // A client that has gone meanwhile needs no answer.
            let _ = state.output.answer(self.failed(&state.app, &failure));
        } else {
            let cut = state.output.is_streaming();
            report(&state.app, &state.request_id, &failure, cut);
            state.output.abort();
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
        Failure::Unavailable(_) | Failure::Short(_) => {
            let mut refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "");
            refusal.retry_after = Some(1);
            return refusal;
        }
        Failure::Expired(_) => StatusCode::GATEWAY_TIMEOUT,
        Failure::Gone => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, "")
}

/// The one log line of a failure. An application's is a warning; a client's is for whoever looks for
/// its request id; that a client left is in the access log.
fn report(app: &str, request_id: &RequestId, failure: &Failure, sent: bool) {
    let aborted = if sent {
        "; the response is cut off"
    } else {
        ""
    };
    match failure {
        Failure::Gone => tracing::debug!(%app, %request_id, "{failure}"),
        Failure::Refused(_) | Failure::Client(_) => {
            tracing::info!(%app, %request_id, "{failure}{aborted}");
        }
        _ => tracing::warn!(%app, %request_id, "{failure}{aborted}"),
    }
}
