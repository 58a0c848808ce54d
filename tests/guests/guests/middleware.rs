//! Middleware by the SDK. Composed with any other guest, which sees the same query, it does what `?layer=` says:
//!
//! | layer | what it does |
//! |---|---|
//! | none | passes all on |
//! | `head` | tells what it saw in the headers X-Code, X-Length and X-Exc-Info |
//! | `calm` | takes the exc-info away, and the status with it: `200 Calm` |
//! | `upper` | the body in upper case, then `/end`; without Content-Length |
//! | `drop` | drops what the application returned, and answers by itself |
//! | `page` | answers by a page where the application fails |
//! | `shift` | takes the first segment of the path away |
//! | `input` | gives it another body to read: `replaced` |
//!
//! For: M1 to M9, M13, 4.4.

use std::convert::Infallible;

use wasm_gw_guest::{Body, Environ, Error, Input, Result, StartResponse, shift_path_info};
use wasm_gw_guest_middleware::{Filter, Head, Recorder, Wrapped};
use wasm_gw_test_guests::{Query, start_text};

fn middleware(environ: Environ, start_response: StartResponse, app: Wrapped) -> Result<Body> {
    let layer = Query::of(&environ).text("layer", "");
    match layer.as_str() {
        "" => app.call(environ, start_response),
        "head" => app.call_with_head(environ, start_response, tell),
        "calm" => app.call_with_head(environ, start_response, |head| {
            head.exc_info = None;
            "200 Calm".clone_into(&mut head.status);
        }),
        "upper" => app.call_filtered(environ, start_response, |head| {
            head.remove("content-length");
            Ok(Some(Upper))
        }),
        "drop" => {
            let recorder = Recorder::new();
            drop(app.call(environ, recorder.start_response())?);
            start_text(&start_response)?;
            Ok("dropped\n".into())
        }
        "page" => {
            let recorder = Recorder::new();
            match app.call(environ, recorder.start_response()) {
                Err(error) => {
                    start_response.restart("500 Sorry", &[], &error)?;
                    Ok("we are sorry\n".into())
                }
                returned => recorder.forward(start_response, returned, |_| Ok(None::<Infallible>)),
            }
        }
        "shift" => {
            shift_path_info(&environ)?;
            app.call(environ, start_response)
        }
        "input" => {
            environ.replace_input(Input::of_bytes(b"replaced"));
            app.call(environ, start_response)
        }
        _ => Err(Error::msg(format!("no layer {layer:?}"))),
    }
}

fn tell(head: &mut Head) {
    head.set("X-Code", &head.code().to_string());
    let length = head.body_length();
    head.set("X-Length", &format!("{length:?}"));
    let failure = head.exc_info.as_ref().map(Error::message);
    head.set("X-Exc-Info", &format!("{failure:?}"));
}

struct Upper;

impl Filter for Upper {
    fn block(&mut self, block: Vec<u8>) -> Result<Vec<u8>> {
        Ok(block.to_ascii_uppercase())
    }

    fn end(&mut self) -> Result<Vec<u8>> {
        Ok(b"/end".to_vec())
    }
}

wasm_gw_guest_middleware::export!(middleware);
