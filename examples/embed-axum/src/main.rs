//! An application of the gateway beside the handlers of an axum server:
//! `cargo run -p embed-axum -- hello.wasm 127.0.0.1:8080`.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use axum::routing::get;
use tokio::net::TcpListener;
use wasm_gw_runtime::{App, AppConfig, ConnInfo, Runtime, RuntimeConfig};

type Result = std::result::Result<(), Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which component?")?;
    let address = arguments
        .next()
        .ok_or("which address, such as 127.0.0.1:8080?")?;
    serve(file.as_ref(), TcpListener::bind(address).await?).await
}

/// Serves the component in this file, until ctrl-c.
pub(crate) async fn serve(file: &Path, listener: TcpListener) -> Result {
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let app = App::load_file(&runtime, AppConfig::new("app"), file)?;
    let local = listener.local_addr()?;
    // What the application sees as SERVER_PORT and REMOTE_ADDR.
    let connection = move |ConnectInfo(client): ConnectInfo<SocketAddr>, mut request: Request| async move {
        request
            .extensions_mut()
            .insert(ConnInfo::tcp(local, client));
        request
    };
    let router = Router::new()
        .route("/native", get(|| async { "not sandboxed\n" }))
        .fallback_service(app.service())
        .layer(map_request(connection));
    axum::serve(
        listener,
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
    .await?;
    // An answer may have ended before its guest has.
    runtime.idle().await;
    Ok(())
}
