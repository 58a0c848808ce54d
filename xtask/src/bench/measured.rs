//! Which build of the server is measured.

use anyhow::Result;

use super::options::Options;
use super::speed::guided;
use crate::kit::programs::{self, Program};

/// That of this checkout, as it is shipped, unless the options say otherwise.
pub(crate) fn measured(options: &Options) -> Result<Program> {
    let binary = match options.servers.first() {
        Some(path) => path.clone(),
        None if options.plain => programs::plain()?,
        None => guided::server()?,
    };
    programs::gateway(binary)
}
