//! An application of the gateway in a server of one's own:
//! `cargo run -p embed-hyper -- hello.wasm 127.0.0.1:8080`.

use std::error::Error;
use std::path::Path;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
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

/// Serves the component in this file.
pub(crate) async fn serve(file: &Path, listener: TcpListener) -> Result {
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let app = App::load_file(&runtime, AppConfig::new("app"), file)?;
    loop {
        let (socket, client) = listener.accept().await?;
        let conn = ConnInfo::tcp(socket.local_addr()?, client);
        let app = TowerToHyperService::new(app.service());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(conn.clone());
            app.call(request)
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}
