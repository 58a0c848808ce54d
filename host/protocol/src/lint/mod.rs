//! The lint: what an application did in one exchange, and what of it is against a rule or unwise.
//!
//! A host refuses or mends what would harm it, and answers all the same. An author wants to know. A
//! [`Transcript`] is what a host saw of an application, in order; [`lint`] reads it and names each
//! [`Rule`] that it is against, with what was seen. `wasm-gw check` is made of this.
//!
//! ```
//! use wasm_gw_protocol::lint::{Event, Returned, Transcript, lint};
//!
//! let transcript = Transcript {
//!     is_head: false,
//!     events: vec![
//!         Event::Start {
//!             status: "200 OK".to_owned(),
//!             headers: vec![("X-Count_".to_owned(), "1".to_owned())],
//!             exc_info: false,
//!             refused: None,
//!         },
//!         Event::Returned(Returned::Bytes(2)),
//!     ],
//! };
//! let rules: Vec<&str> = lint(&transcript).iter().map(|finding| finding.rule.name).collect();
//! assert_eq!(rules, ["name-ending", "no-content-type"]);
//! ```

mod fields;
mod rules;
mod walk;

#[cfg(test)]
mod tests;

pub use rules::{Level, RULES, Rule};
pub use walk::lint;

use crate::response::{Broken, StartError, WriteError};

/// What a host saw of an application in one exchange.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// The request's method is HEAD.
    pub is_head: bool,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Something that an application did, or that happened to it.
#[derive(Clone, Debug)]
pub enum Event {
    /// It called `start-response.start`.
    Start {
        /// The status as it was given.
        status: String,
        /// The fields as they were given.
        headers: Vec<(String, String)>,
        /// It gave an exception.
        exc_info: bool,
        /// Why the call failed, if it did.
        refused: Option<StartError>,
    },
    /// It called `writer.write` with a block of so many bytes.
    Write {
        /// The block's size in bytes.
        bytes: u64,
        /// Why the call failed, if it did.
        refused: Option<WriteError>,
    },
    /// It returned a body.
    Returned(Returned),
    /// Its iterable gave a block of so many bytes.
    Block(u64),
    /// Its iterable is at its end.
    Exhausted,
    /// Its response could not be sent, or not to its end.
    Broken(Broken),
    /// It returned an error, from `app` or from its iterable: kind and message.
    Exception(String),
    /// It was ended: it trapped, exited, or used up what it may have. The text says which.
    Ended(String),
    /// `close` failed. The text says how.
    CloseFailed(String),
}

/// The kind of body that an application returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// None.
    Empty,
    /// One block of so many bytes.
    Bytes(u64),
    /// Something that is asked for blocks.
    Iter,
    /// A body that the host has.
    Host,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What was seen, with control characters escaped.
    pub seen: String,
}
