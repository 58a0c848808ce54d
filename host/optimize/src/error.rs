//! Why a component is left as it is.

use wasmparser::BinaryReaderError;

/// Why a component was not optimized.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// It is no component that any host would run.
    #[error("it is not a valid component: {0}")]
    Invalid(#[source] BinaryReaderError),
    /// It is a component of another shape than the known tools make.
    #[error("{0}")]
    Shape(String),
    /// What came out was not valid. It is a fault of this crate, and nobody's component is spoilt by it.
    #[error("what came out is not valid, which is a bug: {0}")]
    Failed(#[source] BinaryReaderError),
}

/// A shape that is not known.
pub(crate) fn unknown(what: impl Into<String>) -> Unknown {
    Unknown::Shape(what.into())
}

/// What was valid a moment ago can be read.
impl From<BinaryReaderError> for Unknown {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(error)
    }
}

impl From<wasm_encoder::reencode::Error<Unknown>> for Unknown {
    fn from(error: wasm_encoder::reencode::Error<Self>) -> Self {
        match error {
            wasm_encoder::reencode::Error::UserError(error) => error,
            wasm_encoder::reencode::Error::ParseError(error) => Self::Invalid(error),
            other => unknown(format!("something in it cannot be written again: {other}")),
        }
    }
}
