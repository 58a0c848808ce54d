//! Says when the clock of the wall was set. Nothing here goes by it but the dates that are told; times are measured
//! by a clock that only goes forward. Whoever compares lines of the log should know.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What is a jump. A clock that is brought in step, little by little, makes none.
const JUMP: Duration = Duration::from_secs(2);

/// For ever, a line for each jump.
pub(crate) async fn watch() {
    let mut before = (SystemTime::now(), Instant::now());
    loop {
        tokio::time::sleep(LOOK).await;
        let now = (SystemTime::now(), Instant::now());
        let expected = before.0 + (now.1 - before.1);
        if let Some(how) = jump(expected, now.0) {
            tracing::warn!("the clock was set {how}; timeouts do not go by it");
        }
        before = now;
    }
}

/// How far it jumped, and where to. A machine that has slept finds its clock set forward.
fn jump(expected: SystemTime, found: SystemTime) -> Option<String> {
    let (by, way) = match found.duration_since(expected) {
        Ok(forward) => (forward, "forward"),
        Err(error) => (error.duration(), "back"),
    };
    let by_seconds = humantime::format_duration(Duration::from_secs(by.as_secs()));
    (by > JUMP).then(|| format!("{way} by {by_seconds}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_nearly_right_has_not_jumped() {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        let ms = Duration::from_millis;
        assert_eq!(jump(then, then), None);
        assert_eq!(jump(then, then + ms(1900)), None);
        assert_eq!(jump(then, then - ms(1900)), None);
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(jump(then, then + day).unwrap(), "forward by 1day");
        assert_eq!(jump(then, then - ms(90_500)).unwrap(), "back by 1m 30s");
    }
}
