//! A service in two parts: [`app`], which a clone replaces, and [`chassis`], which it keeps.
//!
//! This file is the only place where they meet.
//!
//! Next: [`chassis::replica`], which starts it all.

pub mod app;
pub mod chassis;

use chassis::{
    Chassis,
    config::{self, Environment, Sources},
    openapi,
    replica::{self, Exit},
    telemetry::Identity,
};

/// The settings of this service.
pub type Settings = config::Settings<app::Settings>;

/// Serves until a signal, and drains.
#[must_use]
pub fn run(sources: Sources) -> Exit {
    let identity = identity(&sources.environment);
    replica::run(sources, identity, app::router)
}

/// The API's description, as this version of the service serves it with default settings.
///
/// # Errors
/// When the app cannot make its routes, or does not describe them.
pub fn openapi() -> Result<serde_json::Value, String> {
    let chassis = Chassis::detached(identity(&Environment::default()));
    openapi::of(|| app::router(&app::Settings::default(), &chassis))
}

/// Who this replica is.
#[must_use]
pub fn identity(environment: &Environment) -> Identity {
    Identity {
        service: env!("CARGO_PKG_NAME").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        replica: environment.replica(),
        zone: environment.zone(),
    }
}
