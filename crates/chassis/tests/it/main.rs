//! End-to-end tests: the real binary, as a process, behind real proxies and under real load generators.
//!
//! One binary, one module per promise. `make tools` installs what they drive; a missing tool fails its test. Nothing
//! is retried: a lost request is a failed test.
//!
//! Next: `harness`, then `first_run`.

mod harness;

mod api;
mod balancer;
mod blocked;
mod browser;
mod chassis;
mod connections;
mod dispatch;
mod doors;
mod drain;
mod endings;
mod features;
mod first_run;
mod floors;
mod handlers;
mod fleet;
mod logs;
mod marks;
mod metrics;
mod ordinary;
mod overload;
mod settings;
mod sidecar;
mod signals;
mod start;
mod tasks;
mod telemetry;
mod testing;
mod witness;
