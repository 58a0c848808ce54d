//! From a request to a response: which app, and may it run now. What failures become is in
//! `settle.rs`.
//!
//! [`Site`] is a `tower::Service`. A guest that does not come to its end at once runs apart from the
//! future that asked for it (`scheduler.rs`), so that a client that goes away never cancels a call in
//! the middle: dropping the response, or the future for it, only tells the guest at its next gateway
//! call, and its `close` still runs (S41).

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, request};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasm_gw_protocol::{
    ALLOWED_METHODS, BodyError, Environ, Facts, Mount, Refusal, Split, Target, check_method,
    named_in_connection, route,
};

use crate::app::{App, Job};
use crate::clock::{Clock, Presence};
use crate::error::Failure;
use crate::guest::input::RequestBody;
use crate::output::ResponseBody;
use crate::scheduler::Guest;
use crate::settle::Asked;
use crate::turn::Turn;

/// Any error of a request's body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Apps by mount, as a `tower::Service`. Cheap to clone; clones share the apps.
#[derive(Clone)]
pub struct Site(Arc<ArcSwap<Inner>>);

struct Inner {
    apps: Vec<App>,
}

/// Two apps at one mount.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("two apps are mounted at `{mount}`: `{first}` and `{second}`")]
pub struct MountTaken {
    mount: String,
    first: String,
    second: String,
}

impl Site {
    /// A site of these apps, of which each request reaches the one with the longest matching mount.
    ///
    /// # Errors
    ///
    /// Two apps have the same mount.
    pub fn new(apps: Vec<App>) -> Result<Self, MountTaken> {
        let inner = Inner::new(apps)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(inner))))
    }

    /// Puts these apps in place of those that there are, for requests from now on. A request that has begun
    /// is answered to its end by the app that it began with.
    ///
    /// # Errors
    ///
    /// Two apps have the same mount. Those that there were stay.
    pub fn replace(&self, apps: Vec<App>) -> Result<(), MountTaken> {
        self.0.store(Arc::new(Inner::new(apps)?));
        Ok(())
    }
}

impl Inner {
    fn new(apps: Vec<App>) -> Result<Self, MountTaken> {
        for (index, app) in apps.iter().enumerate() {
            let twin = |other: &&App| other.config().mount == app.config().mount;
            if let Some(other) = apps[..index].iter().find(twin) {
                return Err(MountTaken {
                    mount: match app.config().mount.as_str() {
                        "" => "/".to_owned(),
                        mount => mount.to_owned(),
                    },
                    first: other.config().name.clone(),
                    second: app.config().name.clone(),
                });
            }
        }
        Ok(Self { apps })
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let asked = Asked::of(&mut parts);
        let prepared = self.prepare(&parts, &asked);
        drop(parts);
        carry_out(prepared, body, asked).await
    }

    fn prepare(&self, parts: &request::Parts, asked: &Asked) -> Result<Prepared<'_>, Refusal> {
        prepare(parts, asked, |path| {
            let mounts = self.apps.iter().map(|app| &app.config().mount);
            let found = route(mounts, path)?;
            Ok(found.map(|(index, split)| (&self.apps[index], split)))
        })
    }
}

/// Everything up to the choice of the app and its `environ`.
fn prepare<'a>(
    parts: &request::Parts,
    asked: &Asked,
    choose: impl FnOnce(&str) -> Result<Option<(&'a App, Split)>, Refusal>,
) -> Result<Prepared<'a>, Refusal> {
    check_method(parts)?;
    let target = Target::parse(parts, asked.connection.scheme)?;
    if target.asterisk {
        return Ok(Prepared::Answer(options()));
    }
    let Some((app, split)) = choose(target.path)? else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "outside every mount"));
    };
    report_hidden(app.name(), parts, asked);
    let environ = environ(app, parts, &target, split, asked)?;
    Ok(Prepared::App(app, environ))
}

enum Prepared<'a> {
    Answer(Response<ResponseBody>),
    App(&'a App, Environ),
}

fn environ(
    app: &App,
    parts: &request::Parts,
    target: &Target<'_>,
    split: Split,
    asked: &Asked,
) -> Result<Environ, Refusal> {
    let config = app.config();
    let facts = Facts {
        conn: &asked.connection,
        request_id: &asked.request_id,
        server_name: config.server_name.as_deref(),
        server_software: crate::SERVER_SOFTWARE,
        app: &config.name,
        extra: &config.environ,
    };
    Environ::build(parts, target, split, &facts)
}

/// Says which fields the client has hidden from the app by naming them in Connection: a proxy in
/// front may have added one of them and relied on its arrival (2.3).
fn report_hidden(app: &str, parts: &request::Parts, asked: &Asked) {
    let hidden = named_in_connection(&parts.headers);
    if !hidden.is_empty() {
        let names: Vec<&str> = hidden.iter().map(HeaderName::as_str).collect();
        tracing::debug!(
            %app,
            request_id = %asked.request_id,
            "header fields named in Connection are not passed on: {}",
            names.join(", ")
        );
    }
}

/// The answer to `OPTIONS *`, which is about the server and no app.
fn options() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(
        http::header::ALLOW,
        HeaderValue::from_static(ALLOWED_METHODS),
    );
    response
}

async fn carry_out<B>(
    prepared: Result<Prepared<'_>, Refusal>,
    body: B,
    asked: Asked,
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match prepared {
        Ok(Prepared::Answer(response)) => response,
        Ok(Prepared::App(app, environ)) => app.answer(environ, body, asked).await,
        Err(refusal) => asked.failed(&Failure::Refused(refusal)),
    }
}

/// Answers a request that is for no app, by a page, and logs why: as an app's own refusals are.
pub fn refuse<B>(request: Request<B>, refusal: Refusal) -> Response<ResponseBody> {
    let (mut parts, _) = request.into_parts();
    Asked::of(&mut parts).failed(&Failure::Refused(refusal))
}

impl App {
    /// Answers a request as if the app were mounted there, whatever its configuration says: for servers that
    /// choose apps by more than their mounts, as by host.
    pub async fn answer_at<B>(&self, mount: &Mount, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let asked = Asked::of(&mut parts);
        let prepared = prepare(&parts, &asked, |path| {
            let found = route(std::iter::once(mount), path)?;
            Ok(found.map(|(_, split)| (self, split)))
        });
        drop(parts);
        carry_out(prepared, body, asked).await
    }

    /// The app as a `tower::Service` on its own, at its mount.
    pub fn service(&self) -> Site {
        let apps = vec![self.clone()];
        Site(Arc::new(ArcSwap::from_pointee(Inner { apps })))
    }

    async fn answer<B>(&self, environ: Environ, body: B, asked: Asked) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut counted = self.record().metrics.begin();
        let mut response = self.answer_uncounted(environ, body, asked).await;
        counted.answered(response.status());
        response.body_mut().counted(counted);
        response
    }

    async fn answer_uncounted<B>(
        &self,
        environ: Environ,
        body: B,
        mut asked: Asked,
    ) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        asked.record = Some(Arc::clone(self.record()));
        if !self.record().breaker.lets_through(&asked.place()) {
            return asked.failed(&Failure::SwitchedOff);
        }
        let entry = match self.enter().await {
            Ok(entry) => entry,
            Err(busy) => return asked.failed(&Failure::Unavailable(busy.0)),
        };
        let turn = Arc::new(Turn::new(asked.cpu.clone()));
        let clock = Arc::new(Clock::start(self.limits(), Arc::clone(&turn)));
        let client = Presence::of(&clock);
        let (head, answer) = oneshot::channel();
        let asked = Arc::new(asked);
        let body = request_body(body);
        let has_body = body.is_some();
        let job = Job {
            asked: Arc::clone(&asked),
            entry,
            environ,
            body,
            head,
            clock: Arc::clone(&clock),
            turn: Arc::clone(&turn),
        };
        let guest = Guest::new(self.account(), turn, clock, self.clone().run(job));
        self.scheduler().run(guest, has_body).await;
        match answer.await {
            Ok(response) => response.map(|body| body.attended_by(client)),
            Err(_) => {
                let lost = "the task of this request ended without an answer".to_owned();
                asked.failed(&Failure::Trap(lost))
            }
        }
    }
}

/// The body in one type, whatever the server's, or none where there is none.
fn request_body<B>(body: B) -> Option<RequestBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return None;
    }
    Some(Box::pin(body.map_err(|error| body_error(error.into()))))
}

/// Finds our server's own error in whatever wraps it; another server's keeps its text.
fn body_error(error: BoxError) -> BodyError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(current) = cause {
        if let Some(known) = current.downcast_ref::<BodyError>() {
            return known.clone();
        }
        cause = current.source();
    }
    BodyError::Other(error.to_string())
}

impl<B> tower_service::Service<Request<B>> for Site
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    /// Always ready: a request that cannot run now waits in its app's queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let apps = self.0.load_full();
        Box::pin(async move { Ok(apps.answer(request).await) })
    }
}
