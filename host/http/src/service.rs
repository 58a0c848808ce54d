//! From hyper's request to the service's answer: facts of the connection in, checks, refusals.
//!
//! Not here: sockets and times; a service never waits for another service's request, since one
//! connection has one exchange at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;
use wasm_gw_protocol::{CpuTime, Refusal, RequestId, wants_json};

use crate::BoxError;
use crate::body::RequestBody;
use crate::exchange::Connection;
use crate::limits;
use crate::refusal;
use crate::response::{Asked, Never, ResponseBody, Wishes, finish_head};

/// The service of one connection, as hyper calls it.
pub(crate) struct Exchanges<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> Exchanges<S> {
    pub(crate) fn new(service: S, connection: Arc<Connection>) -> Self {
        Exchanges {
            service,
            connection,
        }
    }
}

/// A request id that no other request of this process is likely to have.
pub(crate) fn new_request_id() -> RequestId {
    RequestId::from_bits(fastrand::u128(..))
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Exchanges<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Never> + Clone,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Never;
    type Future = Answering<S>;

    fn call(&self, request: Request<Incoming>) -> Answering<S> {
        let connection = &self.connection;
        let (mut parts, incoming) = request.into_parts();
        let told = connection.told_id(&parts.headers);
        let id = told.unwrap_or_else(new_request_id);
        let info = connection.told_info(&parts.headers);
        let cpu = CpuTime::default();
        let has_body = !incoming.is_end_stream();
        let client = info.as_ref().ok().and_then(Option::as_ref);
        let client = client.map(|info| &info.remote);
        let number = connection.begin(&parts, client, &id, &cpu, has_body);
        let asked = Asked::new(&parts.method, parts.version, Wishes::of(&parts.headers));

        let checked = limits::check(&parts, incoming.size_hint().exact(), &connection.config);
        let broken = |refusal: &Refusal| refusal.status == StatusCode::BAD_REQUEST;
        // Where a body or a broken head makes it doubtful what follows, nothing follows. What fields
        // say of a client does not: a proxy has others who come by the same connection.
        let close = has_body || checked.as_ref().is_err_and(broken);
        let step = match checked.and(info) {
            Err(refusal) => {
                let json = wants_json(&parts.headers);
                let response = refusal::response(&refusal, &id, json, close);
                Step::Refused {
                    response: Some(response),
                }
            }
            Ok(info) => {
                // hyper's handle for an upgrade; no service may take the connection over.
                if !parts.extensions.is_empty() {
                    parts.extensions.clear();
                }
                let info = info.unwrap_or_else(|| connection.info.clone());
                parts.extensions.insert(info);
                parts.extensions.insert(id.clone());
                parts.extensions.insert(cpu);
                let body = if has_body {
                    RequestBody::new(incoming, connection, number)
                } else {
                    RequestBody::empty(incoming)
                };
                Step::Waiting {
                    service: self.service.clone(),
                    request: Some(Request::from_parts(parts, body)),
                }
            }
        };
        Answering {
            step,
            facts: Facts {
                connection: Arc::clone(connection),
                id,
                asked,
            },
        }
    }
}

pin_project! {
    /// One exchange up to the head of its answer.
    pub(crate) struct Answering<S>
    where
        S: Service<Request<RequestBody>>,
    {
        #[pin]
        step: Step<S>,
        facts: Facts,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<S>
    where
        S: Service<Request<RequestBody>>,
    {
        Refused { response: Option<Response<Bytes>> },
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: S::Future },
    }
}

struct Facts {
    connection: Arc<Connection>,
    id: RequestId,
    asked: Asked,
}

impl<S, B> Future for Answering<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Never>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Never>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let future = match this.step.as_mut().project() {
                StepProjection::Refused { response } => {
                    let response = response.take().expect("not polled after its answer");
                    return Poll::Ready(Ok(this.facts.page(response)));
                }
                StepProjection::Waiting { service, request } => {
                    match ready!(service.poll_ready(cx)) {
                        Ok(()) => {}
                        Err(never) => match never {},
                    }
                    service.call(request.take().expect("called once, then Running"))
                }
                StepProjection::Running { future } => {
                    let response = match ready!(future.poll(cx)) {
                        Ok(response) => response,
                        Err(never) => match never {},
                    };
                    return Poll::Ready(Ok(this.facts.answer(response)));
                }
            };
            this.step.set(Step::Running { future });
        }
    }
}

impl Facts {
    /// The service's answer, or 500 in place of one that cannot be sent.
    fn answer<B>(&self, response: Response<B>) -> Response<ResponseBody<B>>
    where
        B: Body<Data = Bytes>,
    {
        let (mut parts, body) = response.into_parts();
        let finished = finish_head(
            &mut parts,
            &body.size_hint(),
            self.asked,
            &self.id,
            &self.connection,
        );
        match finished {
            Ok(owed) => {
                let body = ResponseBody::service(body, owed, Arc::clone(&self.connection));
                Response::from_parts(parts, body)
            }
            Err(reason) => {
                let detail = format!("the service gave an answer that cannot be sent: {reason}");
                let refusal = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
                self.page(refusal::response(&refusal, &self.id, false, false))
            }
        }
    }

    fn page<B>(&self, response: Response<Bytes>) -> Response<ResponseBody<B>> {
        let (mut parts, page) = response.into_parts();
        let length = http_body::SizeHint::with_exact(page.len() as u64);
        let owed = finish_head(&mut parts, &length, self.asked, &self.id, &self.connection)
            .unwrap_or_default();
        let body = ResponseBody::page(page, owed, Arc::clone(&self.connection));
        Response::from_parts(parts, body)
    }
}
