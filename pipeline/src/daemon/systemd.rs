//! What systemd wants to know of a unit with `Type=notify-reload` and `WatchdogSec=`. Without systemd nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// The daemon runs.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The daemon is about to run with another configuration.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The daemon is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The daemon does not stand still.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that, if it does: twice as often as it gives up after.
pub(super) fn interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "systemd was not told");
    }
}
