//! The handles of one request, which are given back late: an instance that answers one request only takes
//! them with it when it goes, and each that is given back before costs a call of the host.

use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::raw::types;

/// An owned handle. When it is dropped it may wait for the next call.
#[derive(Debug)]
pub(crate) struct Held<T: Handle> {
    /// None only while it is dropped.
    raw: Option<T>,
    waits: bool,
}

/// A handle of the host that can be set aside as a number.
pub(crate) trait Handle: Sized {
    /// Where the first one waits.
    const PLACE: &'static Place;

    /// Its number. It is not given back then.
    fn into_number(self) -> u32;

    /// Gives back the handle of this number, which must be one of `into_number`.
    fn give_back(number: u32);
}

/// For the number of one handle; 0 is none. An instance has one thread.
pub(crate) struct Place(AtomicU32);

/// Handles are set aside: the application is being called.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// A call of the application begins.
pub(crate) fn begin() {
    empty();
    IS_OPEN.store(true, Relaxed);
}

/// It has returned something that will be asked for blocks, perhaps for long: nothing more waits.
pub(crate) fn end() {
    IS_OPEN.store(false, Relaxed);
    empty();
}

fn empty() {
    fn empty<T: Handle>() {
        let number = T::PLACE.0.swap(0, Relaxed);
        if number != 0 {
            T::give_back(number);
        }
    }
    empty::<types::Environ>();
    empty::<types::StartResponse>();
    empty::<types::Writer>();
}

impl<T: Handle> Held<T> {
    /// One that is given back when it is dropped.
    pub(crate) fn new(raw: T) -> Self {
        Self {
            raw: Some(raw),
            waits: false,
        }
    }

    /// One that came with the request. The first of its type that is dropped in a call waits.
    pub(crate) fn of_request(raw: T) -> Self {
        Self {
            raw: Some(raw),
            waits: true,
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
        if self.waits && IS_OPEN.load(Relaxed) && place.load(Relaxed) == 0 {
            place.store(raw.into_number(), Relaxed);
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

            fn give_back(number: u32) {
                // SAFETY: the handle was owned and is nobody's now.
                drop(unsafe { Self::from_handle(number) });
            }
        }
    };
}

handle!(types::Environ);
handle!(types::StartResponse);
handle!(types::Writer);
