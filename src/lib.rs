//! A service in two parts: [`app`], which a clone replaces, and [`chassis`], which it keeps.
//!
//! This file is the only place where they meet.
//!
//! Next: [`chassis::replica`], which starts it all.

pub mod app;
pub mod chassis;

use std::{fmt, process::ExitCode};

use chassis::{
    Chassis,
    config::{self, AppSettings, Environment, Invocation, Sources, cli},
    openapi,
    replica::{self, Exit, HeldSignals},
    router::Router,
    telemetry::Identity,
};

/// The settings of this service.
pub type Settings = config::Settings<app::Settings>;

/// Serves until a signal, and drains. Signals are held from the first line of `main` on.
#[must_use]
pub fn run(held: HeldSignals, sources: Sources) -> Exit {
    let identity = identity(&sources.environment);
    replica::run(held, sources, identity, app::router)
}

/// A whole `main` for another app on this chassis, with the command line, settings, admin listener, drain and exit codes
/// of the service. It only runs: `server` has the other commands.
pub fn serve<S, F, E>(app: F) -> ExitCode
where
    S: AppSettings,
    F: FnOnce(&S, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    let held = HeldSignals::hold();
    let options = match cli::parse(Invocation::capture().arguments) {
        Ok(cli::Command::Run(options)) => options,
        Ok(_) => return refuse("this app only runs; `server` has the other commands"),
        Err(error) => return refuse(&error),
    };
    let sources = Sources::new(options, Environment::capture());
    let identity = identity(&sources.environment);
    replica::run(held, sources, identity, app).into()
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("{error}");
    Exit::BadSettings.into()
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
