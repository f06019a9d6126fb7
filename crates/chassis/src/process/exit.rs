//! Exit codes and start errors of a replica.
//!
//! Next: [`mod@super::watch`].

use std::{fmt, process::ExitCode};

use tokio::signal::unix::SignalKind;

/// Why a replica did not start, for the log: context first, then the cause.
#[derive(Clone, Debug)]
pub struct StartError(String);

impl StartError {
    /// `context` names the failed step, such as `binding the admin listener on [::]:8081`.
    pub fn new(context: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self(format!("{context}: {cause}"))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// How a replica ended; the program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All requests in flight were completed: 0.
    Drained,
    /// Requests were cut off at the drain's deadline, or the start or the runtime failed: 1.
    Failed,
    /// Invalid settings (`EX_CONFIG` of sysexits.h): 78.
    BadSettings,
    /// A second signal: 128 and its number.
    Killed(SignalKind),
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Drained => 0,
            Self::Failed => 1,
            Self::BadSettings => 78,
            Self::Killed(kind) => u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
