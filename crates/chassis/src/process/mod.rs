//! The process: its environment, arguments, signals and exit code.
//!
//! Next: [`Environment`].

mod environment;
mod exit;
mod invocation;
mod signals;
mod watch;

pub use environment::Environment;
pub use exit::{Exit, StartError};
pub use invocation::Invocation;
pub use signals::HeldSignals;
pub(crate) use signals::{Received, Signals};
pub use watch::{Watcher, watch};
