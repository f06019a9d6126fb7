//! What the recipes share: a `main` on the chassis, and Redis.
//!
//! A recipe is an example of its own, to be read from top to bottom and copied in part. Nothing here belongs to the
//! default build, and a clone has it only on request.

pub mod store;

use std::{fmt::Display, process::ExitCode};

use service::chassis::{
    Chassis,
    config::{AppSettings, Environment, Sources, cli},
    replica,
    router::Router,
};

/// Runs `app` as `server` does: the same command line, settings, admin listener, drain and exit codes.
pub fn serve<S, F, E>(app: F) -> ExitCode
where
    S: AppSettings,
    F: FnOnce(&S, &Chassis) -> Result<Router, E>,
    E: Display,
{
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(cli::Command::Run(options)) => options,
        Ok(_) => {
            eprintln!("a recipe only runs; `server` has the other commands");
            return replica::Exit::BadSettings.into();
        }
        Err(error) => {
            eprintln!("{error}");
            return replica::Exit::BadSettings.into();
        }
    };
    let sources = Sources::new(options, Environment::capture());
    let identity = service::identity(&sources.environment);
    replica::run(sources, identity, app).into()
}
