//! For a service's own tests: the service in the test's process, its program as a process, and load on either.
//!
//! It is no part of a running service: nothing else here uses it, so the linker leaves it out. It works in a `#[test]` and
//! in a `#[tokio::test]`. What is missing, late or wrong panics with what was seen.
//!
//! Next: [`Service`].

mod answer;
mod http;
mod load;
mod log;
mod metrics;
mod pending;
mod program;
mod request;
mod service;
mod settings;
mod start;

pub use answer::Answer;
pub use http::get;
pub use load::{Load, Tally};
pub use pending::Pending;
pub use program::Program;
pub use request::Request;
pub use service::Service;
pub use settings::{loaded, read, read_with};
