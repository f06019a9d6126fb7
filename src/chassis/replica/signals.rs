//! The signals that a replica hears.
//!
//! Next: [`super::live`].

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, SIGINT and SIGHUP.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
pub(super) enum Received {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop(SignalKind),
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received::Stop(SignalKind::terminate()),
            _ = self.interrupt.recv() => Received::Stop(SignalKind::interrupt()),
            _ = self.hangup.recv() => Received::Reload,
        }
    }

    /// The next signal that asks for the end; settings are no longer read.
    pub(super) async fn next_stop(&mut self) -> SignalKind {
        loop {
            if let Received::Stop(kind) = self.next().await {
                return kind;
            }
        }
    }
}
