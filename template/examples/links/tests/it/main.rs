//! The service in the test's own process, beside a Postgres of the test's own.
//!
//! `make examples` runs them; Postgres is installed by `make tools`.

mod description;
mod drain;
mod events;
mod login;
#[path = "../../../../../crates/chassis/tests/postgres/server.rs"]
mod postgres;
mod routes;
mod service;
mod start;
mod uploads;
