//! The two questions to the kernel that neither std nor tokio asks, and all `unsafe` of the crate.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes written to the socket that the peer's kernel has not acknowledged yet; `None` where
/// that cannot be asked.
#[expect(
    unsafe_code,
    reason = "no safe wrapper of this ioctl in std, tokio or socket2"
)]
pub(crate) fn unacknowledged(socket: BorrowedFd<'_>) -> Option<usize> {
    let mut queued: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed, so it is open, and the kernel writes one int to a
    // pointer to one int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
    (result == 0).then(|| usize::try_from(queued).unwrap_or(0))
}

/// How many descriptors this process may have open; `None` where there is no limit.
#[expect(
    unsafe_code,
    reason = "getrlimit has no safe wrapper in std, tokio or socket2"
)]
pub(crate) fn open_files_limit() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills one rlimit behind a pointer to one rlimit.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
