//! `start` with a header that is larger than the guest: every field's value is the same text, so
//! that the guest pays for one and the host would for all. The safe call owns each value, so this
//! one is made by hand.
#![expect(unsafe_code, reason = "a call that the safe bindings cannot express")]

use wasm_gw_guest::StartResponse;
use ways::{Text, large_fields};

/// Room for `result<writer, start-error>`.
#[repr(C, align(8))]
struct Answer([u8; 64]);

#[link(wasm_import_module = "wasm-gw:gateway/types@0.1.0")]
unsafe extern "C" {
    /// `start` with its parameters flattened: the handle, the status, the list of headers, and an
    /// exception that is not there.
    #[link_name = "[method]start-response.start"]
    fn start_flat(
        handle: i32,
        status: *const u8,
        status_length: usize,
        headers: *const [Text; 2],
        headers_length: usize,
        has_exception: i32,
        kind: *const u8,
        kind_length: usize,
        message: *const u8,
        message_length: usize,
        has_traceback: i32,
        traceback: *const u8,
        traceback_length: usize,
        answer: *mut Answer,
    );
}

/// Calls `start` with `mib` fields of a MiB each. The answer, if there is one, is thrown away.
pub(crate) fn start(start_response: &StartResponse, mib: usize) {
    let headers = large_fields(mib);
    let status = Text::of("200 OK");
    let none = std::ptr::null();
    let mut answer = Answer([0; 64]);
    // SAFETY: the signature is the flat form of `start` in wit/gateway.wit. All that it points to
    // is alive until the call returns, and is only read, but for the answer.
    unsafe {
        start_flat(
            start_response.as_raw().handle().cast_signed(),
            status.at,
            status.length,
            headers.as_ptr(),
            headers.len(),
            0,
            none,
            0,
            none,
            0,
            0,
            none,
            0,
            &raw mut answer,
        );
    }
    std::hint::black_box(answer.0);
}
