//! Answers by WASI 0.2, as a guest sends them that is meant to be fast.

use wasip2::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::{OutputStream, StreamError};

/// The longest block that [`OutputStream::blocking_write_and_flush`] takes, in bytes.
const SHORT: usize = 4096;

/// Answers with one text.
pub fn answer(out: ResponseOutparam, status: u16, fields: &[(&str, &str)], text: &str) {
    stream(out, status, fields, text.len(), |stream| {
        write(stream, text.as_bytes())
    });
}

/// Sends the head and then what `write` writes. An error ends the answer: the client has gone.
pub fn stream(
    out: ResponseOutparam,
    status: u16,
    fields: &[(&str, &str)],
    length: usize,
    write: impl FnOnce(&OutputStream) -> Result<(), StreamError>,
) {
    let length = length.to_string();
    let entries: Vec<(String, Vec<u8>)> = fields
        .iter()
        .chain(&[("content-length", length.as_str())])
        .map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .collect();
    let head = Fields::from_list(&entries).expect("the names and values are tokens");
    let response = OutgoingResponse::new(head);
    let _ = response.set_status_code(status);
    let body = response.body().expect("it is taken once");
    ResponseOutparam::set(out, Ok(response));
    let written = body.write().map(|stream| write(&stream));
    if let Ok(Ok(())) = written {
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Writes one block, whatever its length.
pub fn write(stream: &OutputStream, mut block: &[u8]) -> Result<(), StreamError> {
    if block.len() <= SHORT {
        return stream.blocking_write_and_flush(block);
    }
    while !block.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, rest) = block.split_at(room.min(block.len()));
        stream.write(now)?;
        block = rest;
    }
    Ok(())
}
