//! Messages to the service manager (`sd_notify(3)`), if there is one.
//!
//! Next: [`super::successor`].

use std::time::Duration;

use sd_notify::NotifyState;

use crate::admin::Heartbeat;

/// A change of state.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    Ready,
    Reloading,
    Stopping,
    /// Another process is now the main process, and ready.
    MainIs(u32),
}

/// Notifies the service manager; without `NOTIFY_SOCKET` there is none.
pub(super) fn tell(notice: Notice) {
    let told = match notice {
        Notice::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // Both in one message: since systemd 253 a reload without its time counts as failed.
        Notice::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
        }
        Notice::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Notice::MainIs(pid) => sd_notify::notify(&[NotifyState::MainPid(pid), NotifyState::Ready]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, ?notice, "cannot notify the service manager");
    }
}

/// Pings the service manager's watchdog, if enabled, while the I/O runtime runs tasks. Spawns onto
/// the current runtime, which is not the I/O runtime.
pub(super) fn watch(heartbeat: Heartbeat) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else { return };
    // Half of it, as sd_watchdog_enabled(3) recommends; at least 1 ms, since a timer cannot be zero.
    let period = (patience / 2).max(Duration::from_millis(1));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if heartbeat.age() <= period.max(FRESH)
                && let Err(error) = sd_notify::notify(&[NotifyState::Watchdog])
            {
                tracing::warn!(%error, "cannot ping the service manager's watchdog");
            }
        }
    });
}

/// A heartbeat runs four times a second; a younger one than this is on time on a busy machine.
const FRESH: Duration = Duration::from_secs(1);
