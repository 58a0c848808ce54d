//! The shortest answer, as a component of the world `wasi:http/proxy` (WASI 0.2).

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use works::{HELLO, TEXT};

struct Hello;

impl Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        p2::answer(out, 200, &[TEXT], HELLO);
    }
}

wasip2::http::proxy::export!(Hello);
