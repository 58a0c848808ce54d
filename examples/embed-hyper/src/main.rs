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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which component?")?;
    let address = arguments
        .next()
        .ok_or("which address, such as 127.0.0.1:8080?")?;

    let runtime = Runtime::new(RuntimeConfig::default())?;
    let app = App::load_file(&runtime, AppConfig::new("app"), Path::new(&file))?;
    let listener = TcpListener::bind(address).await?;
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
