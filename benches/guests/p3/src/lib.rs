//! Answers by WASI 0.3, as a guest sends them that is meant to be fast.

use wasip3::http::types::{Fields, Response};
use wasip3::wit_bindgen::StreamWriter;
use wasip3::{spawn_local, wit_future, wit_stream};

/// Answers with one text.
pub fn answer(status: u16, fields: &[(&str, &str)], text: String) -> Response {
    stream(status, fields, text.len(), async move |mut stream| {
        stream.write_all(text.into_bytes()).await;
    })
}

/// An answer whose body is what `write` writes after it was returned.
pub fn stream(
    status: u16,
    fields: &[(&str, &str)],
    length: usize,
    write: impl AsyncFnOnce(StreamWriter<u8>) + 'static,
) -> Response {
    let length = length.to_string();
    let entries: Vec<(String, Vec<u8>)> = fields
        .iter()
        .chain(&[("content-length", length.as_str())])
        .map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .collect();
    let head = Fields::from_list(&entries).expect("the names and values are tokens");
    let (writer, reader) = wit_stream::new();
    // There are no trailers, which is what the future says when its writer is dropped.
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(head, Some(reader), trailers);
    let _ = response.set_status_code(status);
    spawn_local(async move { write(writer).await });
    response
}
