//! The chassis: what every replica needs, and what a clone keeps byte for byte.
//!
//! It never names the app or the service. The first block is in the order in which a request meets it; the second
//! stands beside that line.
//!
//! Next: [`listener`].

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
pub mod replica;
pub mod runtime;
pub mod telemetry;

pub use replica::Chassis;
