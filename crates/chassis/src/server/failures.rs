//! Failed accepts: their kind, their count, and the back-off.
//!
//! Next: [`super::Server`].

use std::{io, time};

use prometheus::{IntCounterVec, Opts, Registry};
use tokio::time::Instant;

/// 5 ms, doubled up to a second: long enough not to spin, short enough to go on when a file is closed.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    told: Option<Instant>,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Once per 10 s: at the limit accepts fail and succeed alternately, and the counter has the number.
    pub(super) fn is_to_be_told(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() >= time::Duration::from_secs(10));
        if due {
            self.told = Some(Instant::now());
        }
        due
    }

    pub(super) fn next(&mut self) -> time::Duration {
        let delay = time::Duration::from_millis(5 << self.failures.min(8)).min(time::Duration::from_secs(1));
        self.failures += 1;
        delay
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// EMFILE, ENFILE.
    FileLimit,
    /// ENOBUFS, ENOMEM.
    Memory,
    /// The connection failed before it was accepted.
    Connection,
    Other,
}

impl ErrorKind {
    const ALL: [Self; 4] = [Self::FileLimit, Self::Memory, Self::Connection, Self::Other];

    pub(super) fn of(error: &io::Error) -> Self {
        use nix::errno::Errno;
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EMFILE | Errno::ENFILE) => Self::FileLimit,
            Some(Errno::ENOBUFS | Errno::ENOMEM) => Self::Memory,
            Some(Errno::ECONNABORTED | Errno::ECONNRESET | Errno::EPROTO | Errno::EPERM | Errno::EINTR) => {
                Self::Connection
            }
            _ => Self::Other,
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::FileLimit => "file_limit",
            Self::Memory => "memory",
            Self::Connection => "connection",
            Self::Other => "other",
        }
    }
}

/// `http_server_accept_errors_total`.
#[derive(Clone, Debug)]
pub(crate) struct AcceptErrors(IntCounterVec);

impl AcceptErrors {
    /// Registers it; without a registry (the admin listener) it is not exported.
    pub(crate) fn new(registry: Option<&Registry>) -> Self {
        let opts = Opts::new("http_server_accept_errors_total", "Failed accepts, by kind.");
        let errors = IntCounterVec::new(opts, &["kind"]).expect("a valid metric");
        for kind in ErrorKind::ALL {
            errors.with_label_values(&[kind.label()]);
        }
        if let Some(registry) = registry {
            registry.register(Box::new(errors.clone())).expect("registered once");
        }
        Self(errors)
    }

    pub(super) fn count(&self, kind: ErrorKind) {
        self.0.with_label_values(&[kind.label()]).inc();
    }
}
