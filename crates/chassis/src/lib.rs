//! The engine of a service: what every replica needs, so that a service is only its routes.
//!
//! It never names a service. The first block is in the order in which a request meets it; the second stands beside that
//! line.
//!
//! Next: [`program`].

pub mod listener;
pub mod server;
pub mod transports;
pub mod connection;
pub mod middleware;
pub mod router;
pub mod request;
pub mod overload;
pub mod problem;
pub mod openapi;
pub mod upstream;
pub mod wsgi;

pub mod admin;
pub mod config;
pub mod faults;
pub mod health;
pub mod host;
pub mod lifecycle;
pub mod program;
pub mod replica;
pub mod runtime;
pub mod telemetry;
pub mod testing;

pub use program::main;
pub use replica::Chassis;
