//! The chassis: what every replica needs, and what a clone keeps byte for byte.
//!
//! It never names the app or the service. The order below is the order in which a request meets it.
//!
//! Next: [`listener`].

pub mod connection;
pub mod listener;
pub mod middleware;
pub mod overload;
pub mod problem;
pub mod request;
pub mod router;
pub mod server;
pub mod upstream;

pub mod admin;
pub mod config;
pub mod faults;
pub mod health;
pub mod lifecycle;
pub mod parts;
pub mod runtime;
pub mod telemetry;

pub use parts::{Chassis, Identity, RequestsServed};
