//! Points in time, whatever lengths a deployer has set.

use std::time::Duration;

use tokio::time::Instant;

/// So much later, or as late as can be told.
pub(crate) fn after(since: Instant, time: Duration) -> Instant {
    const AGES: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    since.checked_add(time).unwrap_or_else(|| since + AGES)
}

/// The same from now on.
pub(crate) fn from_now(time: Duration) -> Instant {
    after(Instant::now(), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_length_is_too_long() {
        let now = Instant::now();
        assert_eq!(
            after(now, Duration::from_secs(1)),
            now + Duration::from_secs(1)
        );
        assert!(after(now, Duration::MAX) > now + Duration::from_secs(1 << 29));
    }
}
