//! A replica among others in one process, for [`crate::testing`].
//!
//! What a program has once is not its own: it gets its signals through a channel, writes its log to a writer, and leaves
//! the process's subscriber, environment, privileges and inherited descriptors alone.
//!
//! Next: [`super::control`], as for a program.

use std::{fmt, net::SocketAddr, sync::Arc};

use tokio::{
    signal::unix::SignalKind,
    sync::{mpsc::UnboundedReceiver, oneshot::Sender},
};

use super::{
    Before, Chassis, Exit, StartError, app,
    control::{Control, Files},
    listeners, start,
};
use crate::{
    config::{AppSettings, Live, Sources},
    host::Host,
    process::Signals,
    router::Router,
    telemetry::{self, Identity, Output},
};

/// Where a replica listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// The first of `server.listen` that is a TCP port.
    pub(crate) app: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// What a process gives to each of its replicas.
pub(crate) struct Given {
    pub(crate) signals: UnboundedReceiver<SignalKind>,
    pub(crate) output: Output,
    pub(crate) listening: Sender<Addresses>,
}

/// As [`super::run`], on a thread that ends with it.
pub(crate) fn run_shared<A, F, E>(
    given: Given,
    sources: Sources,
    identity: Identity,
    app: F,
) -> Result<Exit, StartError>
where
    A: AppSettings,
    F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
    E: fmt::Display,
{
    let Given { signals, output, listening } = given;
    let mut control = Control::shared(Signals::Sent(signals))?;
    let Files { watcher, loaded, certificates } = match control.read::<A>(&sources) {
        Some(Ok(files)) => files,
        Some(Err(problems)) => return Err(StartError::new("reading the settings", problems.join("\n"))),
        None => return Ok(Exit::Drained),
    };
    let host = Host::shared(&listeners(&loaded.settings));
    let lookup = |name: &str| sources.environment.get(name).map(str::to_owned);
    let telemetry = telemetry::start_shared(&loaded.settings.telemetry, &identity, &lookup, output)
        .map(Arc::new)
        .map_err(|error| StartError::new("starting telemetry", error))?;
    let flush_timeout = loaded.settings.lifecycle.flush_timeout.get();
    let app = app::erased(Arc::clone(&loaded.settings), app);
    let live = Arc::new(Live::new(sources, loaded));
    let before = Before { host, certificates, listening: Some(listening) };
    let started = start(&mut control, live, watcher, identity, &telemetry, before, app);
    control.runtime.shutdown_background();
    if let Err(error) = &started {
        tracing::error!(%error, "cannot start");
        let _ = telemetry.flush(flush_timeout);
    }
    started
}
