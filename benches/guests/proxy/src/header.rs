//! Fields that are larger than the guest, as in `hostile`: every value is the same text. The safe
//! call owns each, so this one is made by hand.
#![expect(unsafe_code, reason = "a call that the safe bindings cannot express")]

use ways::{Text, large_fields};

/// Room for `result<fields, header-error>`.
#[repr(C, align(8))]
struct Answer([u8; 32]);

#[link(wasm_import_module = "wasi:http/types@0.2.12")]
unsafe extern "C" {
    #[link_name = "[static]fields.from-list"]
    fn from_list(entries: *const [Text; 2], length: usize, answer: *mut Answer);
}

/// Makes fields of `mib` values of a MiB each, and keeps them. Did the host take them?
pub(crate) fn make(mib: usize) -> bool {
    let entries = large_fields(mib);
    let mut answer = Answer([0; 32]);
    // SAFETY: the signature is the flat form of `from-list` in WASI 0.2. All that it points to is
    // alive until the call returns, and is only read, but for the answer.
    unsafe { from_list(entries.as_ptr(), entries.len(), &raw mut answer) };
    answer.0[0] == 0
}
