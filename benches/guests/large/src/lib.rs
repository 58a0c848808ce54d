//! Much code and much data, as the snapshot of another language's runtime brings them: 24 MiB of
//! data that may be written, and some megabytes of functions behind a table.

mod code;
mod data;
mod word;

/// Does what a request does in such a guest: writes here and there in the data, and calls a little of
/// the code. Was all that it wrote as new?
pub fn touch() -> bool {
    data::touch() && code::call()
}
