//! Whether a thread has taken a page fault. Who writes to a page that held nothing of its own takes one, so a guest during
//! whose whole life there was none has written to no page but those that held something before.
//!
//! Only the thread that takes a fault counts it. So this can be said of a memory that was made and dropped in one poll
//! of one guest, which is one stay on one thread, unless others could get at it meanwhile: whoever lets them says so
//! ([`Polling::share`]). Of any other memory nothing is said.
//!
//! All this holds for small pages. Where the kernel makes a large page of small ones, what was empty between them is there
//! without a fault: `space.rs` forbids it.

use std::cell::Cell;
use std::io;

use super::space::Space;

thread_local! {
    /// The poll in progress on this thread.
    static POLL: Cell<Option<Poll>> = const { Cell::new(None) };
    /// How many polls there have been.
    static POLLS: Cell<u64> = const { Cell::new(0) };
    /// What the thread's faults were when they were asked for last.
    static ASKED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// One poll of a guest, of all that there ever are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Poll {
    thread: usize,
    number: u64,
}

/// A guest is polled on this thread until this is dropped.
pub(crate) struct Polling(());

impl Polling {
    pub(crate) fn begin() -> Self {
        let thread = super::thread_number();
        let number = POLLS.get() + 1;
        POLLS.set(number);
        // Of a poll within another nothing is known.
        let is_first = POLL.get().is_none();
        POLL.set(
            thread
                .filter(|_| is_first)
                .map(|thread| Poll { thread, number }),
        );
        Self(())
    }
}

impl Polling {
    /// From here on other threads may use what was made in this thread's poll.
    pub(crate) fn share() {
        POLL.set(None);
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLL.set(None);
    }
}

/// A moment of a poll.
#[derive(Debug)]
pub(super) struct Moment {
    poll: Poll,
    /// As many faults the thread had taken then, or some time before.
    faults: u64,
}

impl Moment {
    /// Now; none if no guest is polled.
    pub(super) fn now() -> Option<Self> {
        let poll = POLL.get()?;
        let faults = ASKED.get().or_else(ask)?;
        Some(Self { poll, faults })
    }

    /// Whether this is the same poll, and there was no fault since.
    pub(super) fn is_undisturbed(&self) -> bool {
        POLL.get() == Some(self.poll) && ask() == Some(self.faults)
    }
}

/// How many faults this thread has taken.
fn ask() -> Option<u64> {
    let faults = of_thread();
    ASKED.set(faults);
    faults
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "getrusage has no safe wrapper here")]
fn of_thread() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills the `rusage` behind the pointer, or says that it did not.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    // Each is a count and wraps, if ever, as such.
    Some((usage.ru_minflt as u64).wrapping_add(usage.ru_majflt as u64))
}

#[cfg(not(target_os = "linux"))]
fn of_thread() -> Option<u64> {
    None
}

/// Tries whether the system counts all faults that matter: to get a page of zeros, and a copy of a page of a file.
///
/// # Errors
///
/// It does not, or it could not be tried.
pub(super) fn try_out() -> io::Result<()> {
    let page = rustix::param::page_size();
    let file = std::fs::File::open("/proc/self/exe")?;
    let mut space = Space::reserve(2 * page, page)?;
    space.open(0..page)?;
    {
        use std::os::fd::AsFd;
        space.map(page..2 * page, file.as_fd(), 0)?;
    }
    for start in [0, page] {
        let before = of_thread();
        #[expect(unsafe_code, reason = "a page must be written to")]
        // SAFETY: it was opened above, and nobody else knows of it.
        unsafe {
            space.zero(start..start + page);
        }
        let (Some(before), Some(after)) = (before, of_thread()) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        if before == after {
            return Err(io::Error::other("a page fault was not counted"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_system_counts_faults() {
        try_out().unwrap();
    }

    #[test]
    fn outside_of_a_poll_and_in_another_one_nothing_is_known() {
        assert!(Moment::now().is_none());
        let poll = Polling::begin();
        let before = Moment::now().unwrap();
        let now = Moment::now().unwrap();
        // The first one may have brought faults of its own.
        let _ = before.is_undisturbed();
        let calm = Moment::now().unwrap();
        assert!(calm.is_undisturbed());
        drop(poll);
        assert!(!calm.is_undisturbed());
        let _poll = Polling::begin();
        assert!(!calm.is_undisturbed());
        assert!(!now.is_undisturbed());
        assert!(Moment::now().unwrap().is_undisturbed());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2 {
                    let _poll = Polling::begin();
                    assert!(!calm.is_undisturbed());
                }
            });
        });
    }

    #[test]
    fn what_others_can_get_at_is_not_known() {
        let _poll = Polling::begin();
        let before = Moment::now().unwrap();
        Polling::share();
        assert!(!before.is_undisturbed());
        assert!(Moment::now().is_none());
    }

    #[test]
    fn a_poll_within_another_tells_nothing() {
        let _poll = Polling::begin();
        let before = Moment::now().unwrap();
        let inner = Polling::begin();
        assert!(Moment::now().is_none());
        assert!(!before.is_undisturbed());
        drop(inner);
        assert!(!before.is_undisturbed());
    }

    #[test]
    fn a_fault_is_seen() {
        let page = rustix::param::page_size();
        let mut space = Space::reserve(page, page).unwrap();
        space.open(0..page).unwrap();
        let _poll = Polling::begin();
        let before = Moment::now().unwrap();
        #[expect(unsafe_code, reason = "a page must be written to")]
        // SAFETY: as in `try_out`.
        unsafe {
            space.zero(0..page);
        }
        assert!(!before.is_undisturbed());
        // From here on there are none.
        let after = Moment::now().unwrap();
        #[expect(unsafe_code, reason = "a page must be written to")]
        // SAFETY: as in `try_out`.
        unsafe {
            space.zero(0..page);
        }
        assert!(after.is_undisturbed());
    }
}
