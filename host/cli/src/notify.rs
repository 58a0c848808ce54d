//! What the service manager is told: systemd, by the socket that it names in `NOTIFY_SOCKET`
//! (`Type=notify`). Where nobody named one, nobody is told.

use std::time::Duration;

use sd_notify::NotifyState as State;

/// Components are being loaded: how it began, and not yet that it is ready.
pub(crate) fn loading() {
    tell(&[State::Status("loading components")]);
}

/// Requests are answered; also once all is [loaded again](reloading).
pub(crate) fn ready() {
    tell(&[State::Ready, State::Status("serving")]);
}

/// All components are being loaded again. [`ready`] follows, whatever came of it.
pub(crate) fn reloading() {
    let mut news = vec![
        State::Reloading,
        State::Status("serving, and loading all components again"),
    ];
    // Whoever asked for it takes no earlier one for an answer (`Type=notify-reload`).
    news.extend(State::monotonic_usec_now());
    tell(&news);
}

/// The end has begun, and takes as long as this at most. The manager is to wait for so long, even where its own
/// settings were made for another `--graceful-timeout`.
pub(crate) fn stopping(within: Duration) {
    let within = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        State::Stopping,
        State::Status("requests in flight may finish"),
        State::ExtendTimeoutUsec(within),
    ]);
}

/// Another process is the service from now on.
pub(crate) fn replaced_by(pid: u32) {
    // It begins to say that it is alive, at a time of its own.
    tell(&[State::MainPid(pid), State::Watchdog]);
}

/// Tells it for ever that the server is alive, if it asked for that (`WatchdogSec=`). A task that is never run again
/// tells nothing, and the manager starts the server anew.
pub(crate) async fn alive() {
    // 0 would be no pause at all; nobody means it.
    let Some(most) = sd_notify::watchdog_enabled().filter(|most| !most.is_zero()) else {
        return;
    };
    loop {
        tell(&[State::Watchdog]);
        tokio::time::sleep(most / 2).await;
    }
}

/// Tells it. That it cannot be told is no reason to end: who waits for it will say so.
fn tell(news: &[State<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!("the service manager cannot be told how the server is: {error}");
    }
}
