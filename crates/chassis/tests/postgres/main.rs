//! The feature `postgres`, on a real Postgres: deadlines, a database that is lost, migrations, rollouts.
//!
//! `make database` runs them; Postgres is installed by `make tools`. The service runs in the test's own process, but for the
//! subcommand `migrate` and exit codes.

#[path = "../programs/stored/app.rs"]
mod app;
mod admission;
mod deadline;
mod failover;
mod migrate;
mod rollout;
mod server;
mod service;
