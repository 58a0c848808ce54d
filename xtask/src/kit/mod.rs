//! What `cargo xtask bench` and `cargo xtask torture` have in common:
//!
//! | file | what |
//! |---|---|
//! | `programs.rs` | the programs that are run, found or built |
//! | `process.rs` | a process and its memory |
//! | `http.rs` | one request |
//! | `figures.rs` | medians, shares, bounds that hold or do not |
//! | `machine.rs`, `table.rs` | what a report says beside the figures, and how it looks |

pub(crate) mod figures;
pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod table;
