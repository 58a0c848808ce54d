//! The shortest answer, as a component of the world `wasi:http/service` (WASI 0.3).

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};
use works::{HELLO, TEXT};

struct Hello;

impl Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        Ok(p3::answer(200, &[TEXT], HELLO.to_owned()))
    }
}

wasip3::http::service::export!(Hello);
