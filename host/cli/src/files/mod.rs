//! `--static`: files of a folder, served by the host without any guest. Requests for all other paths go on
//! to the applications.
//!
//! What HTTP says of files is tower-http's: ranges, conditions, precompressed files, content types. What
//! may be served is ours (`folder.rs`), and so is how a refusal looks.

mod folder;

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_RANGE, IF_RANGE, LOCATION, RANGE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty, Full};
use tower_http::services::fs::ServeFileSystemResponseBody;
use tower_http::services::{ServeDir, fs::DefaultServeDirFallback};
use tower_service::Service;
use wasm_gw_protocol::{
    ConnInfo, Mount, Refusal, RequestId, Scheme, Target, error_page, route, wants_json,
};

use self::folder::Folder;

/// The files of one folder, and the path that they are under.
pub(crate) struct Files {
    mount: Mount,
    serve: ServeDir<DefaultServeDirFallback, Folder>,
}

impl Files {
    /// # Errors
    ///
    /// The folder is not there, or is none.
    pub(crate) fn of(mount: Mount, folder: &Path) -> std::io::Result<Self> {
        let serve = ServeDir::with_backend("", Folder::open(folder)?)
            .redirect_path_prefix(mount.as_str())
            // As RFC 9110 14.2 allows; the whole file is the answer then.
            .ignore_multi_range_requests(true)
            .precompressed_br()
            .precompressed_zstd()
            .precompressed_gzip();
        Ok(Self { mount, serve })
    }

    /// The path that they are under.
    pub(crate) fn mount(&self) -> &Mount {
        &self.mount
    }
}

/// Files and applications, of which each request reaches what has the longest mount that it is under.
#[derive(Clone)]
pub(crate) struct Front<S> {
    files: Arc<[Files]>,
    /// Those of the files, and then those of the applications.
    mounts: Arc<[Mount]>,
    apps: S,
}

impl<S> Front<S> {
    /// `apps` answers under these mounts.
    pub(crate) fn new(files: Vec<Files>, apps: S, app_mounts: Vec<Mount>) -> Self {
        let mounts = files.iter().map(|files| files.mount.clone());
        Self {
            mounts: mounts.chain(app_mounts).collect(),
            files: files.into(),
            apps,
        }
    }
}

/// An application's body, a file, or a page.
type Answer<B> = Response<Either<B, Either<ServeFileSystemResponseBody, Full<Bytes>>>>;

/// The way to an answer. Most requests are for applications, and take no longer for it.
pub(crate) enum Answering<F, B> {
    App(F),
    Files(Pin<Box<dyn Future<Output = Answer<B>> + Send>>),
    Page(Option<Answer<B>>),
}

// Nothing in it is pinned where it is.
impl<F, B> Unpin for Answering<F, B> {}

impl<F, B> Future for Answering<F, B>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Answer<B>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Answering::App(answer) => {
                let answer = ready!(Pin::new(answer).poll(context));
                Poll::Ready(answer.map(|answer| answer.map(Either::Left)))
            }
            Answering::Files(answer) => answer.as_mut().poll(context).map(Ok),
            Answering::Page(page) => match page.take() {
                Some(page) => Poll::Ready(Ok(page)),
                None => Poll::Pending,
            },
        }
    }
}

impl<S, B, R> Service<Request<R>> for Front<S>
where
    S: Service<Request<R>, Response = Response<B>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Answer<B>;
    type Error = Infallible;
    type Future = Answering<S::Future, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.apps.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let page = |refusal| {
            let page = page(&refusal, &Client::of(&request)).map(Either::Right);
            Answering::Page(Some(page.map(Either::Right)))
        };
        // Where only applications could have it, they say what is wrong with a path.
        if self.files.is_empty() {
            return Answering::App(self.apps.call(request));
        }
        let files = match route(self.mounts.iter(), request.uri().path()) {
            Ok(under) => under.and_then(|(index, _)| self.files.get(index)),
            Err(refusal) => return page(refusal),
        };
        let Some(files) = files else {
            return Answering::App(self.apps.call(request));
        };
        match asked(&request, &files.mount) {
            Ok(Asked::Folder(location)) => {
                let mut moved = Response::new(Full::default());
                *moved.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                moved.headers_mut().insert(LOCATION, location);
                Answering::Page(Some(moved.map(Either::Right).map(Either::Right)))
            }
            Ok(Asked::File(request)) => {
                let serve = files.serve.clone();
                Answering::Files(Box::pin(async {
                    serve_file(serve, request).await.map(Either::Right)
                }))
            }
            Err(refusal) => page(refusal),
        }
    }
}

/// What a refusal says of its request.
struct Client {
    id: Option<RequestId>,
    json: bool,
}

impl Client {
    fn of<R>(request: &Request<R>) -> Self {
        Self {
            id: request.extensions().get().cloned(),
            json: wants_json(request.headers()),
        }
    }
}

fn page(refusal: &Refusal, client: &Client) -> Response<Full<Bytes>> {
    error_page(refusal, client.id.as_ref(), client.json).map(Full::new)
}

/// What a request under a mount is for.
enum Asked {
    /// A file, with a path below the folder.
    File(Request<Empty<Bytes>>),
    /// The folder itself, without the slash that its links are relative to: it is there.
    Folder(HeaderValue),
}

fn asked<R>(request: &Request<R>, mount: &Mount) -> Result<Asked, Refusal> {
    let mut asked = Request::new(Empty::new());
    *asked.method_mut() = request.method().clone();
    *asked.uri_mut() = request.uri().clone();
    *asked.version_mut() = request.version();
    *asked.headers_mut() = request.headers().clone();
    if let Some(id) = request.extensions().get::<RequestId>() {
        asked.extensions_mut().insert(id.clone());
    }
    let (mut parts, body) = asked.into_parts();
    let scheme = request
        .extensions()
        .get::<ConnInfo>()
        .map_or(Scheme::Http, |conn| conn.scheme);
    let target = Target::parse(&parts, scheme)?;
    if ![Method::GET, Method::HEAD].contains(&parts.method) {
        let mut refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "files can only be read");
        refusal.allow = Some("GET, HEAD");
        return Err(refusal);
    }
    let below = below(target.path, mount)
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "a slash in percents is no name"))?;
    let query = match target.query {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let unreadable = || Refusal::bad_request("the path cannot be read");
    if below.is_empty() {
        let location = format!("{}/{query}", target.path);
        let location = HeaderValue::from_str(&location).map_err(|_| unreadable())?;
        return Ok(Asked::Folder(location));
    }
    // One slash: what begins with two would name a host where it is redirected to.
    let relative = format!("/{}{query}", below.trim_start_matches('/'));
    let relative: PathAndQuery = relative.parse().map_err(|_| unreadable())?;
    parts.uri = Uri::from(relative);
    // The whole file is always right (RFC 9110 14.2): where it may not be the one that the client has a part of
    // (If-Range, which ServeDir does not know), and where a range means nothing.
    let headers = &mut parts.headers;
    let is_range =
        (headers.get(RANGE)).is_some_and(|range| range.as_bytes().starts_with(b"bytes="));
    if parts.method != Method::GET || headers.contains_key(IF_RANGE) || !is_range {
        headers.remove(RANGE);
    }
    Ok(Asked::File(Request::from_parts(parts, body)))
}

/// What of a path, in percents as it came, is below a mount. None where a slash or a backslash is part of a
/// name: nobody can have meant a file.
fn below<'a>(path: &'a str, mount: &Mount) -> Option<&'a str> {
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") {
        return None;
    }
    mount.below(path)
}

async fn serve_file(
    mut serve: ServeDir<DefaultServeDirFallback, Folder>,
    request: Request<Empty<Bytes>>,
) -> Response<Either<ServeFileSystemResponseBody, Full<Bytes>>> {
    let client = Client::of(&request);
    let mut response = match serve.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let mut refusal = page(&Refusal::new(status, ""), &client);
        // The length that there is, where the range is not.
        if let Some(range) = response.headers().get(CONTENT_RANGE) {
            refusal.headers_mut().insert(CONTENT_RANGE, range.clone());
        }
        return refusal.map(Either::Right);
    }
    // A browser must not guess what a tenant's upload could be.
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::NOT_MODIFIED {
        // As with the answer that it stands for (RFC 9110 15.4.5).
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response.map(Either::Left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_taken_off_a_path_as_it_came() {
        let check = |path, mount: &str, expected| {
            let mount = Mount::parse(mount).unwrap();
            assert_eq!(below(path, &mount), expected, "{path}");
        };
        check("/assets/a.css", "/assets", Some("/a.css"));
        check("/%61ssets/a%20b", "/assets", Some("/a%20b"));
        check("/assets", "/assets", Some(""));
        check("/assets/", "/assets", Some("/"));
        check("/a/b/c", "/a/b", Some("/c"));
        check("/c", "/", Some("/c"));
        check("/assets/..%2Fa", "/assets", None);
        check("/assets/a%5cb", "/assets", None);
    }
}
