//! The works of the speed bench by path, as a component of the world `wasi:http/proxy` (WASI 0.2).

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::io::streams::StreamError;
use works::{ANSWERS, BENCH, BLOCKS, Blocks, HELLO, OUT, READ, SEEN, TEXT, Work};

struct Works;

impl Guest for Works {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match Work::of(&path) {
            Some(Work::Headers) => headers(&request, out),
            Some(Work::Out) => blocks(OUT, out),
            Some(Work::Blocks) => blocks(BLOCKS, out),
            Some(Work::In) => match read(&request) {
                Some(length) => p2::answer(out, 200, &[TEXT], &format!("{length}\n")),
                None => p2::answer(out, 400, &[TEXT], "the body ended too early\n"),
            },
            Some(Work::Cpu) => p2::answer(out, 200, &[TEXT], &format!("{}\n", works::cpu())),
            Some(Work::Pages) if works::touch_pages() => p2::answer(out, 200, &[TEXT], HELLO),
            Some(Work::Pages) => p2::answer(out, 500, &[TEXT], "a page was not as new\n"),
            None => p2::answer(out, 404, &[TEXT], "no such work\n"),
        }
    }
}

fn headers(request: &IncomingRequest, out: ResponseOutparam) {
    let entries = request.headers().entries();
    let seen = entries.iter().filter(|(name, _)| name.starts_with(BENCH));
    let seen = seen.count().to_string();
    let mut fields = vec![TEXT, (SEEN, &seen)];
    fields.extend(ANSWERS);
    p2::answer(out, 200, &fields, HELLO);
}

fn blocks(blocks: Blocks, out: ResponseOutparam) {
    p2::stream(out, 200, &[TEXT], blocks.length(), |stream| {
        let block = blocks.block();
        (0..blocks.count).try_for_each(|_| p2::write(stream, &block))
    });
}

/// The length of the body, if it came to its end.
fn read(request: &IncomingRequest) -> Option<usize> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut length = 0;
    loop {
        match stream.blocking_read(READ as u64) {
            Ok(block) => length += block.len(),
            Err(StreamError::Closed) => return Some(length),
            Err(StreamError::LastOperationFailed(_)) => return None,
        }
    }
}

wasip2::http::proxy::export!(Works);
