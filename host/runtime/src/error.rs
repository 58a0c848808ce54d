//! How a request can fail once its guest is involved, told apart. The status that each becomes, and
//! the one log line it gets, are in `settle.rs`.

use std::borrow::Cow;
use std::fmt;

use wasm_gw_protocol::{BodyError, Broken, Refusal, escape};
use wasmtime::Trap;

use crate::clock::Expired;
use crate::limits::NotKept;
use crate::memory::MemoryShort;

/// What a guest said of an error of its own; for the log only.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) traceback: Option<String>,
}

impl Exception {
    /// At most so many bytes of it. It is logged whatever else its guest wrote, so this has a bound
    /// of its own.
    pub(crate) fn cut(mut self, mut left: usize) -> Self {
        let texts = [&mut self.kind, &mut self.message];
        for text in texts.into_iter().chain(&mut self.traceback) {
            if text.len() > left {
                text.truncate(text.floor_char_boundary(left));
                text.push_str(" [cut]");
            }
            left = left.saturating_sub(text.len());
        }
        self
    }
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request itself is wrong, and no guest saw it.
    Refused(Refusal),
    /// The guest returned an error.
    Exception(Exception),
    /// The guest broke a rule of the gateway.
    Broken(Broken),
    /// The guest broke a bound that the gateway states, such as the size of a block.
    TooLarge(Cow<'static, str>),
    /// The guest trapped; the text is for the log.
    Trap(String),
    /// The guest ended itself.
    Exit(i32),
    /// The guest used up a bound of its instance.
    Exhausted {
        what: Cow<'static, str>,
        trap: String,
    },
    /// A bound of time was passed.
    Expired(Expired),
    /// Reading the request's body failed, by the client's fault.
    Client(BodyError),
    /// No instance was to be had.
    Unavailable(Cow<'static, str>),
    /// The app always fails, and was not asked.
    SwitchedOff,
    /// The server as a whole had no memory for what the guest handed over or asked for.
    Short(MemoryShort),
    /// The client has gone; nobody is there to be told.
    Gone,
}

impl Failure {
    /// Sorts what ended an instantiation: what is neither the guest's doing nor a limit of its own is
    /// the system's, such as memory that is not to be had.
    pub(crate) fn of_instantiation(error: &wasmtime::Error, refused: Option<&'static str>) -> Self {
        let by_guest = error.is::<Trap>()
            || error.is::<Expired>()
            || error.is::<wasmtime_wasi::I32Exit>()
            || refused.is_some();
        if by_guest {
            Failure::of_call(error, refused)
        } else {
            Failure::Unavailable(format!("an instance cannot be made: {error:#}").into())
        }
    }

    /// Sorts what a call into a guest ended with. `refused` says what the instance was denied
    /// before, which is the likelier cause than the trap that it led to.
    pub(crate) fn of_call(error: &wasmtime::Error, refused: Option<&'static str>) -> Self {
        if let Some(&expired) = error.downcast_ref::<Expired>() {
            return Failure::Expired(expired);
        }
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return Failure::Exit(exit.0);
        }
        if let Some(short) = short_of(error) {
            return Failure::from(short);
        }
        let trap = format!("{error:?}");
        if error.is::<NotKept>() {
            let what = "host memory for its handles".into();
            return Failure::Exhausted { what, trap };
        }
        if error.is::<wasmtime::component::ResourceTableError>() {
            let what = "handles".into();
            return Failure::Exhausted { what, trap };
        }
        if let Some(what) = refused {
            let what = what.into();
            return Failure::Exhausted { what, trap };
        }
        match error.downcast_ref::<Trap>() {
            // A guest's own stack grows down to address 0, and from there to the very top.
            Some(Trap::MemoryOutOfBounds) if trap.contains("wasm address 0xffff") => {
                let what =
                    "stack, as it seems (`-zstack-size` of the linker makes it larger)".into();
                Failure::Exhausted { what, trap }
            }
            Some(Trap::StackOverflow) => Failure::Exhausted {
                what: "stack".into(),
                trap,
            },
            _ => Failure::Trap(trap),
        }
    }
}

impl Failure {
    /// Whether a bound of time or of the processor ended a guest that somebody still waited for.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Failure::Expired(bound) if *bound != Expired::Disconnected)
    }
}

/// Whether it was the server as a whole that had no memory.
fn short_of(error: &wasmtime::Error) -> Option<MemoryShort> {
    match error.downcast_ref::<NotKept>() {
        Some(NotKept::Short(short)) => Some(*short),
        Some(NotKept::OverLimit) => None,
        None => error.downcast_ref::<MemoryShort>().copied(),
    }
}

impl From<MemoryShort> for Failure {
    fn from(short: MemoryShort) -> Self {
        Failure::Short(short)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        match &self.traceback {
            Some(traceback) => write!(f, "\n{traceback}"),
            None => Ok(()),
        }
    }
}

/// For the log, in full. What comes from the guest is escaped.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(refusal) => write!(f, "{}: {}", refusal.status, refusal.detail),
            Failure::Exception(exception) => write!(
                f,
                "the application returned an error: {}",
                escape(&exception.to_string())
            ),
            Failure::Broken(rule) => write!(f, "the application broke a rule: {rule}"),
            Failure::TooLarge(what) => write!(f, "the application broke a rule: {what}"),
            Failure::Trap(trap) => write!(f, "the guest trapped: {}", escape(trap)),
            Failure::Exit(status) => write!(f, "the guest exited with status {status}"),
            Failure::Exhausted { what, trap } => {
                write!(f, "the guest used up its {what}: {}", escape(trap))
            }
            Failure::Expired(bound) => write!(f, "the guest was stopped: {bound}"),
            Failure::Client(fault) => write!(f, "reading the request failed: {fault}"),
            Failure::Unavailable(why) => write!(f, "no instance for this request: {why}"),
            Failure::SwitchedOff => f.write_str("the app is switched off: it always fails"),
            Failure::Short(short) => write!(f, "the request was given up: {short}"),
            Failure::Gone => f.write_str("the client went away"),
        }
    }
}
