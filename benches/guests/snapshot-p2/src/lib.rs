//! A component of 30 MB that writes here and there in its data, of the world `wasi:http/proxy`.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use works::{HELLO, TEXT};

struct Snapshot;

impl Guest for Snapshot {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        if large::touch() {
            p2::answer(out, 200, &[TEXT], HELLO);
        } else {
            p2::answer(out, 500, &[TEXT], "the data was not as new\n");
        }
    }
}

wasip2::http::proxy::export!(Snapshot);
