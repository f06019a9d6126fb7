//! The signals of a replica, from the first line of `main` on.
//!
//! A signal without a handler ends the process, and is dropped in process 1. So `main` blocks the signals in its first
//! line: the kernel queues them. They are unblocked once handlers are installed. Before `main` nothing
//! can be done.
//!
//! Next: [`super::exit`].

use std::io;

use nix::sys::signal::{
    SigSet,
    Signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR2},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
};

/// Proof that the signals of a replica are blocked: SIGTERM, SIGINT, SIGHUP and SIGUSR2.
///
/// Threads and child processes inherit the mask, so it is restored before either starts. It has no
/// drop: a program that exits by itself keeps its exit code.
#[derive(Debug)]
#[must_use = "signals that are held end nothing"]
pub(crate) struct HeldSignals(());

impl HeldSignals {
    /// Blocks them. Call it in the first line of `main`.
    pub(crate) fn hold() -> Self {
        // It fails only for masks unknown to the kernel; then signals have their default effect.
        let _ = answered().thread_block();
        Self(())
    }

    /// Unblocks them: a pending signal reaches its handler, or ends the process without one.
    pub(crate) fn release(self) {
        let Self(()) = self;
        let _ = answered().thread_unblock();
    }
}

fn answered() -> SigSet {
    SigSet::from_iter([SIGTERM, SIGINT, SIGHUP, SIGUSR2])
}

/// SIGTERM, SIGINT and SIGHUP.
pub(crate) enum Signals {
    /// Those of the process.
    Process(Handlers),
    /// Those sent to one replica among others in its process, see [`crate::testing`]. A closed channel is an endless
    /// SIGTERM: whoever held it has dropped the replica.
    Sent(UnboundedReceiver<SignalKind>),
}

/// The process's handlers.
pub(crate) struct Handlers {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// The request of a signal.
pub(crate) enum Received {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop(SignalKind),
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::Process(Handlers {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        }))
    }

    pub(crate) async fn next(&mut self) -> Received {
        match self {
            Self::Process(handlers) => handlers.next().await,
            Self::Sent(sent) => match sent.recv().await {
                Some(kind) if kind == SignalKind::hangup() => Received::Reload,
                kind => Received::Stop(kind.unwrap_or(SignalKind::terminate())),
            },
        }
    }

    /// The next stop signal; settings are no longer reloaded.
    pub(crate) async fn next_stop(&mut self) -> SignalKind {
        loop {
            if let Received::Stop(kind) = self.next().await {
                return kind;
            }
        }
    }
}

impl Handlers {
    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received::Stop(SignalKind::terminate()),
            _ = self.interrupt.recv() => Received::Stop(SignalKind::interrupt()),
            _ = self.hangup.recv() => Received::Reload,
        }
    }
}
