//! What a build says while it goes on. Not here: how that looks.

/// Whoever watches a build.
pub trait Progress {
    /// A step begins, which may take a while: `packages`, and `resolving what requirements.txt asks for`.
    fn begin(&self, step: &str, what: &str);

    /// The step that began last is over, and this came of it.
    fn end(&self, what: &str);

    /// What the one who builds should know, though it is no error.
    fn note(&self, text: &str);
}

/// For whom nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: &str) {}

    fn end(&self, _: &str) {}

    fn note(&self, _: &str) {}
}
