//! The handles that come with a request, which are given back late: an instance that answers one request only
//! takes them with it when it goes, and each that is given back before costs a call of the host.

use core::ops::Deref;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::raw::types;

/// An owned handle. When it is dropped in the call that it came with, it waits for the next call.
#[derive(Debug)]
pub(crate) struct Held<T: Handle> {
    /// None once it is given away or dropped.
    raw: Option<T>,
    /// The number of the call that it came with; 0 is none.
    call: u32,
}

/// A handle of the host that can be set aside as a number.
pub(crate) trait Handle: Sized {
    /// Where the first one of a call waits.
    const PLACE: &'static Place;

    /// Its number. It is not given back then.
    fn into_number(self) -> u32;

    /// Gives a handle back.
    ///
    /// # Safety
    ///
    /// The number is one of `into_number`, and is used for nothing else.
    unsafe fn give_back(number: u32);
}

/// For the number of one handle; 0 is none. An instance has one thread.
pub(crate) struct Place(AtomicU32);

/// The number of the latest call of the application, as long as its handles wait: until the next call, or until
/// it has returned a body that takes its time. 0 is none.
static CALL: AtomicU32 = AtomicU32::new(0);

/// How many calls there were.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// A call of the application begins.
pub(crate) fn begin() {
    give_back_all();
    let number = CALLS.load(Relaxed).checked_add(1).unwrap_or(1);
    CALLS.store(number, Relaxed);
    CALL.store(number, Relaxed);
}

/// Nothing waits any more, and from now on what is dropped is given back at once.
pub(crate) fn give_back_all() {
    fn give_back<T: Handle>() {
        let number = T::PLACE.0.swap(0, Relaxed);
        if number != 0 {
            // SAFETY: the place had it, and has it no more.
            unsafe { T::give_back(number) }
        }
    }
    CALL.store(0, Relaxed);
    give_back::<types::Environ>();
    give_back::<types::StartResponse>();
    give_back::<types::Writer>();
}

impl<T: Handle> Held<T> {
    /// One that is given back when it is dropped.
    pub(crate) fn new(raw: T) -> Self {
        Self {
            raw: Some(raw),
            call: 0,
        }
    }

    /// One that came with the request.
    pub(crate) fn of_request(raw: T) -> Self {
        Self {
            raw: Some(raw),
            call: CALL.load(Relaxed),
        }
    }

    /// One that came of another.
    pub(crate) fn of<U: Handle>(origin: &Held<U>, raw: T) -> Self {
        Self {
            raw: Some(raw),
            call: origin.call,
        }
    }

    pub(crate) fn into_raw(mut self) -> T {
        let Some(raw) = self.raw.take() else {
            unreachable!("only `drop` and this take it")
        };
        raw
    }
}

impl<T: Handle> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(raw) = &self.raw else {
            unreachable!("it is there until it is dropped")
        };
        raw
    }
}

impl<T: Handle> Drop for Held<T> {
    fn drop(&mut self) {
        let Some(raw) = self.raw.take() else { return };
        let place = &T::PLACE.0;
        let waits = self.call != 0 && self.call == CALL.load(Relaxed);
        if waits && place.load(Relaxed) == 0 {
            let number = raw.into_number();
            // So says one that somebody has taken by its number.
            if number != u32::MAX {
                place.store(number, Relaxed);
            }
        }
    }
}

macro_rules! handle {
    ($type:ty) => {
        impl Handle for $type {
            const PLACE: &'static Place = {
                static PLACE: Place = Place(AtomicU32::new(0));
                &PLACE
            };

            fn into_number(self) -> u32 {
                self.take_handle()
            }

            unsafe fn give_back(number: u32) {
                // SAFETY: the handle was owned and is nobody's now, as the caller says.
                drop(unsafe { Self::from_handle(number) });
            }
        }
    };
}

handle!(types::Environ);
handle!(types::StartResponse);
handle!(types::Writer);
