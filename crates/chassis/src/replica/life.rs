//! A replica after its start: reloads and the drain.
//!
//! Next: [`crate::process`].

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::OptionFuture;
use tokio::{
    signal::unix::SignalKind,
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use super::start::Replica;
use crate::{
    config::{AppSettings, Reload, Settings},
    host::Asked,
    process::{Exit, Received, Signals, Watcher},
};

/// Why a replica stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Signal(SignalKind),
    /// Another process has the listeners.
    HandedOver,
}

impl<A: AppSettings> Replica<A> {
    /// Runs until a signal, then drains.
    pub(super) async fn run_until_signal(self, signals: &mut Signals, asked: &mut Asked, watcher: Watcher) -> Exit {
        let cause = self.serve(signals, asked, watcher).await;
        let exit = tokio::select! {
            biased;
            exit = self.drain(cause) => exit,
            second = second_stop(signals, cause) => {
                tracing::warn!("second signal received; exiting immediately");
                return Exit::Killed(second);
            }
            never = self.host.refuse_upgrades(asked) => match never {},
        };
        self.admin.stop().await;
        exit
    }

    /// Reloads on request until a stop signal, even while reading a file hangs.
    async fn serve(&self, signals: &mut Signals, asked: &mut Asked, watcher: Watcher) -> Cause {
        let changed = Arc::new(Notify::new());
        // Ends with the runtime.
        tokio::spawn(watcher.run(Arc::clone(&changed)));
        if let Some(certificates) = self.certificates.watcher() {
            tokio::spawn(certificates.run(Arc::clone(&changed)));
        }
        tokio::spawn(Arc::clone(&self.door.resize).run());
        let mut reload = pin!(OptionFuture::default());
        let mut is_reloading = false;
        let mut handed_over = pin!(self.host.handed_over(asked));
        loop {
            tokio::select! {
                biased;
                received = signals.next() => match received {
                    // One more reload after the running one, however many requests there were.
                    Received::Reload => changed.notify_one(),
                    Received::Stop(kind) => return Cause::Signal(kind),
                },
                () = handed_over.as_mut() => return Cause::HandedOver,
                _ = reload.as_mut(), if is_reloading => is_reloading = false,
                () = changed.notified(), if !is_reloading => {
                    is_reloading = true;
                    reload.set(Some(self.reload()).into());
                }
            }
        }
    }

    async fn reload(&self) {
        self.host.reloading();
        self.door.resize.read_again();
        self.read_again().await;
        self.host.reloaded();
    }

    async fn read_again(&self) {
        let (live, certificates) = (Arc::clone(&self.live), self.certificates.clone());
        // A hanging mount must not block the probes.
        let read = tokio::task::spawn_blocking(move || (live.reload(), certificates.reload()));
        let Ok((reload, certificates)) = read.await else { return };
        match reload {
            Reload::Unchanged => tracing::info!("settings checked: no changes"),
            Reload::Refused(errors) => {
                for problem in &errors {
                    tracing::error!("settings not reloaded: {problem}");
                }
            }
            Reload::Applied { generation, hash, restart_pending } => {
                let settings = self.live.get();
                self.apply(&settings);
                tracing::info!(generation, %hash, restart_pending = restart_pending.join(","), "settings reloaded");
            }
        }
        match certificates {
            Ok(true) => tracing::info!("certificates reloaded"),
            Ok(false) => {}
            Err(bad) => {
                self.live.count_failure();
                tracing::error!("certificates not reloaded; the current ones stay in use: {bad}");
            }
        }
        for note in &self.live.loaded().notes {
            tracing::warn!("{note}");
        }
        self.config_metrics.record(&self.live);
    }

    fn apply(&self, settings: &Settings<A>) {
        self.door.settings.store(&settings.server);
        self.door.overload.reload(&settings.overload);
        self.faults.reload(&settings.faults);
        if let Err(error) = self.telemetry.reload(&settings.telemetry) {
            tracing::error!(%error, "telemetry not reloaded");
        }
    }

    /// The drain: one budget, spent in order.
    async fn drain(&self, cause: Cause) -> Exit {
        let settings = self.live.get();
        let lifecycle = &settings.lifecycle;
        let delay = match cause {
            // SIGINT comes from a terminal, where no endpoints propagate.
            Cause::Signal(signal) if signal == SignalKind::interrupt() => Duration::ZERO,
            _ => lifecycle.drain_delay.get(),
        };
        match cause {
            Cause::Signal(_) => self.host.stopping(),
            Cause::HandedOver => {
                // Before the loops end: the probes must not see a listener fail.
                self.lifecycle.hand_over();
                self.admin.hand_over();
                self.agent_stop.cancel();
                self.door.stop.cancel();
            }
        }
        self.lifecycle.begin_drain(delay);
        self.door.connections.drain();
        tracing::info!(?delay, connections = self.door.connections.count(), "draining");
        tokio::time::sleep(delay).await;

        self.door.stop.cancel();
        let deadline = Instant::now() + lifecycle.drain_timeout.get();
        let finished = timeout_at(deadline, async {
            self.door.loops.wait().await;
            self.door.connections.close_all();
            self.door.connections.closed().await;
            self.lifecycle.end_requests();
            self.tasks.ended().await;
        });
        let drained = match finished.await {
            Ok(()) => true,
            Err(_) => self.cut().await,
        };
        let flush_timeout = lifecycle.flush_timeout.get();
        let closed = self.tasks.close(closing_deadline(deadline, flush_timeout)).await;
        self.lifecycle.stopped();
        let exit = if drained && closed { Exit::Drained } else { Exit::Failed };
        tracing::info!(drained = exit == Exit::Drained, "stopped");
        self.flush(flush_timeout.min((deadline + flush_timeout).saturating_duration_since(Instant::now()))).await;
        exit
    }

    /// On another thread, so that probes are answered until the end.
    async fn flush(&self, timeout: Duration) {
        let telemetry = Arc::clone(&self.telemetry);
        let _ = tokio::task::spawn_blocking(move || telemetry.flush(timeout)).await;
    }

    /// Whether there was nothing to cut.
    async fn cut(&self) -> bool {
        let cut = self.door.connections.cut_all();
        self.lifecycle.end_requests();
        // A moment to count them, and for the tasks that waited for the last request; a blocked worker takes longer.
        let _ = timeout(Duration::from_millis(200), async {
            self.door.connections.closed().await;
            self.tasks.ended().await;
        })
        .await;
        let requests_ended = cut == 0 && self.door.loops.is_empty();
        if !requests_ended {
            tracing::error!(cut, "drain_timeout expired; requests were cut off");
        }
        self.tasks.cut() == 0 && requests_ended
    }
}

/// Resources close within the rest of the drain, and for half of what the flush has at least: together they stay within
/// the platform's grace period.
fn closing_deadline(drain: Instant, flush_timeout: Duration) -> Instant {
    drain.max(Instant::now() + flush_timeout / 2)
}

/// The signal that ends a drain at once. The first one after a hand-over is ignored: a
/// service manager may send it to every process of a service.
async fn second_stop(signals: &mut Signals, cause: Cause) -> SignalKind {
    if cause == Cause::HandedOver {
        let first = signals.next_stop().await;
        tracing::info!(signal = first.as_raw_value(), "already draining");
    }
    signals.next_stop().await
}
