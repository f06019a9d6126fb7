//! The process: its environment, arguments, signals and exit code.
//!
//! Next: [`Environment`].

mod allowance;
mod cgroup;
pub(crate) mod cpu;
mod environment;
mod exit;
mod invocation;
pub(crate) mod peak;
mod signals;
mod watch;

pub(crate) use allowance::{Allowance, Resources};
pub use environment::Environment;
pub(crate) use exit::Exit;
pub use exit::StartError;
pub(crate) use invocation::Invocation;
pub(crate) use signals::HeldSignals;
pub(crate) use signals::{Received, Signals};
pub(crate) use watch::Watcher;
