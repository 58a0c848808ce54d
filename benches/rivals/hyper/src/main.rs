//! Hyper and nothing else: `bare-hyper --listen ADDRESS`. It answers all works but those that are
//! about a guest's memory. One task a connection, tokio's threads, no limits, no log.

mod answer;

use std::convert::Infallible;
use std::io;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some("--listen"), Some(address), None) = (
        arguments.next().as_deref(),
        arguments.next(),
        arguments.next(),
    ) else {
        eprintln!("usage: bare-hyper --listen ADDRESS");
        std::process::exit(2);
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()?
        .block_on(serve(&address))
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            let service =
                service_fn(async |request| Ok::<_, Infallible>(answer::answer(request).await));
            // An error is a client that has left.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}
