//! Jobs on a real Postgres: rolling restarts, drains, lost leases, schedules, dead letters, events.
//!
//! Postgres is installed by `make tools`. It shares the harness of `tests/it`.
//!
//! Next: `fleet`, then `rollout`.

#[path = "../it/harness/mod.rs"]
#[allow(dead_code, reason = "the other test binaries use the rest")]
mod harness;

#[path = "../postgres/server.rs"]
#[allow(dead_code, reason = "the tests of the database use the rest")]
mod postgres;

mod drain;
mod events;
mod failures;
mod fleet;
mod rollout;
mod schedules;
