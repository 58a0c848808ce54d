//! The works of the speed bench by path, as a component of the world `wasi:http/service` (WASI 0.3).

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_future;
use works::{ANSWERS, BENCH, BLOCKS, Blocks, HELLO, OUT, READ, SEEN, TEXT, Work};

struct Works;

impl Guest for Works {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        Ok(match Work::of(&path) {
            Some(Work::Headers) => headers(&request),
            Some(Work::Out) => blocks(OUT),
            Some(Work::Blocks) => blocks(BLOCKS),
            Some(Work::In) => ok(format!("{}\n", read(request).await?)),
            Some(Work::Cpu) => ok(format!("{}\n", works::cpu())),
            Some(Work::Pages) => {
                // They are not as new where one instance answers many requests.
                works::touch_pages();
                ok(HELLO.to_owned())
            }
            None => p3::answer(404, &[TEXT], "no such work\n".to_owned()),
        })
    }
}

fn ok(text: String) -> Response {
    p3::answer(200, &[TEXT], text)
}

fn headers(request: &Request) -> Response {
    let entries = request.get_headers().copy_all();
    let seen = entries.iter().filter(|(name, _)| name.starts_with(BENCH));
    let seen = seen.count().to_string();
    let mut fields = vec![TEXT, (SEEN, &seen)];
    fields.extend(ANSWERS);
    p3::answer(200, &fields, HELLO.to_owned())
}

fn blocks(blocks: Blocks) -> Response {
    p3::stream(200, &[TEXT], blocks.length(), async move |mut stream| {
        for _ in 0..blocks.count {
            let left = stream.write_all(blocks.block()).await;
            if !left.is_empty() {
                return; // The client has gone.
            }
        }
    })
}

/// The length of the body, once it came to its end.
async fn read(request: Request) -> Result<usize, ErrorCode> {
    let (_, read) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = Request::consume_body(request, read);
    let mut buffer = Vec::with_capacity(READ);
    let mut length = 0;
    loop {
        let (result, filled) = stream.read(buffer).await;
        length += filled.len();
        buffer = filled;
        buffer.clear();
        if result == StreamResult::Dropped {
            break;
        }
    }
    trailers.await?;
    Ok(length)
}

wasip3::http::service::export!(Works);
