//! The engine of a service: what every replica needs, so that a service is only its routes.
//!
//! It never names a service. The modules stand in floors, top to bottom: each uses those below it and none above, and a
//! test holds that order (`tests/it/floors.rs`). Code of the engine names a thing by the module that owns it; what is
//! re-exported here is for services.
//!
//! Next: [`program`].

// A whole program, and what is composed of all the rest.
pub mod program;
pub mod testing;
pub mod wsgi;
pub mod replica;
pub mod config;

// Where connections come from.
pub mod host;
pub mod transports;
pub mod admin;
pub mod server;
pub mod listener;

// The routes.
pub mod router;
pub mod openapi;

// One connection, and one request.
pub mod connection;
pub mod middleware;

// What a request meets.
pub mod overload;
pub mod upstream;
pub mod health;
pub mod faults;

// What each of them tells, and how a replica ends.
pub mod telemetry;
pub mod problem;
pub mod lifecycle;

// Words that all of them share.
pub mod runtime;
pub mod process;
pub(crate) mod peer;
pub mod request;
pub mod values;

pub use program::main;
pub use replica::Chassis;
