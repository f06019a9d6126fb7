//! The subcommand `migrate`: the app makes its routes, as for `openapi`, and what it registered with
//! [`Chassis::on_migrate`] runs. It serves nothing.
//!
//! Next: [`crate::replica`].

use std::{
    fmt,
    io::{self, IsTerminal},
    process::ExitCode,
};

use tokio::runtime::Builder;

use super::{Service, lines, refuse};
use crate::{
    config::{self, AppSettings, Sources},
    process::Exit,
    replica::Chassis,
    router::Router,
    telemetry::{self, Identity},
};

/// Its log is that of a replica, so that a platform reads both alike.
pub(super) fn migrate<S, F, E>(sources: &Sources, service: Service, app: F) -> ExitCode
where
    S: AppSettings,
    F: AsyncFnOnce(&S, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    let loaded = match config::load::<S>(sources) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&lines(&errors)),
    };
    let identity = service.identity(&sources.environment);
    let lookup = |name: &str| sources.environment.get(name).map(str::to_owned);
    let settings = &loaded.settings;
    let telemetry = match telemetry::start(&settings.telemetry, &identity, &lookup, io::stdout().is_terminal()) {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(&error.to_string()),
    };
    for note in loaded.notes.iter().chain(&loaded.remarks) {
        tracing::warn!("{note}");
    }
    let ran = run(&settings.app, identity, app);
    if let Err(error) = &ran {
        tracing::error!(error, "cannot migrate");
    }
    let _ = telemetry.flush(settings.lifecycle.flush_timeout.get());
    ran.map_or(Exit::Failed, |()| Exit::Drained).into()
}

fn run<S, F, E>(settings: &S, identity: Identity, app: F) -> Result<(), String>
where
    F: AsyncFnOnce(&S, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let ran = runtime.block_on(async {
        let chassis = Chassis::detached(identity);
        app(settings, &chassis).await.map_err(|error| format!("starting the app: {error}"))?;
        chassis.migrations.run().await
    })?;
    if ran.is_empty() {
        return Err("the service has registered no migration: see Chassis::on_migrate".to_owned());
    }
    tracing::info!(migrated = ran.join(", "), "migrated");
    Ok(())
}
