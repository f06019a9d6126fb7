//! The signals that a replica hears, from the first line of `main` on.
//!
//! A signal without a handler ends the process, and as process 1 it is dropped. So `main` holds the signals in its first
//! line: the kernel keeps them. They are released once handlers are installed, and reach those. Before `main` nothing
//! can be done.
//!
//! Next: [`super::exit`].

use std::io;

use nix::sys::signal::{
    SigSet,
    Signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR2},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Proof that the kernel keeps what a replica answers: SIGTERM, SIGINT, SIGHUP and SIGUSR2.
///
/// Threads inherit that, and processes that this one starts, so that it is released before either. It does so by no
/// drop: a program that ends by itself ends with its own code.
#[derive(Debug)]
#[must_use = "signals that are held end nothing"]
pub struct HeldSignals(());

impl HeldSignals {
    /// Holds them. Call it in the first line of `main`.
    pub fn hold() -> Self {
        // It fails for masks that no kernel knows; then signals do what they do without it.
        let _ = answered().thread_block();
        Self(())
    }

    /// One that came meanwhile reaches its handler, or ends the process where there is none.
    pub fn release(self) {
        let _ = answered().thread_unblock();
    }
}

fn answered() -> SigSet {
    SigSet::from_iter([SIGTERM, SIGINT, SIGHUP, SIGUSR2])
}

/// SIGTERM, SIGINT and SIGHUP.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
pub(crate) enum Received {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop(SignalKind),
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received::Stop(SignalKind::terminate()),
            _ = self.interrupt.recv() => Received::Stop(SignalKind::interrupt()),
            _ = self.hangup.recv() => Received::Reload,
        }
    }

    /// The next signal that asks for the end; settings are no longer read.
    pub(crate) async fn next_stop(&mut self) -> SignalKind {
        loop {
            if let Received::Stop(kind) = self.next().await {
                return kind;
            }
        }
    }
}
