//! For a service's own tests: its program as a process, and load on it while it stops.
//!
//! It is no part of a running service: nothing else here uses it, so the linker leaves it out. It needs no runtime, so a
//! test is a plain `#[test]`. What is missing, late or wrong panics with what was seen.
//!
//! Next: [`Program`].

mod http;
mod load;
mod program;
mod settings;

pub use http::{Answer, get};
pub use load::{Load, Tally};
pub use program::Program;
pub use settings::{loaded, read};
