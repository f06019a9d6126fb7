//! A replica: its parts started in order, and stopped in order.
//!
//! ```text
//! settings → sockets, privileges (feature host) → telemetry → runtimes → admin (not ready) → listeners → app
//!         → a successor's turn (feature host) → accept → ready
//! SIGTERM → draining, for drain_delay → stop accepting → connections end, within drain_timeout
//!         → telemetry flushed, within flush_timeout → admin closes → exit
//! ```
//!
//! All of it runs on the program's main thread, which also serves the admin listener: signals are heard and the drain
//! goes on when every I/O worker is blocked. A second signal ends the program at once.
//!
//! Next: [`super::listener`].

#[cfg(feature = "guest")]
mod embedded;
mod exit;
mod inside;
mod live;
mod signals;
mod start;

#[cfg(feature = "guest")]
pub use embedded::{Embedded, Request, ResponseBody};
pub use exit::{Exit, StartError};

use std::{
    fmt,
    io::{self, IsTerminal},
    sync::Arc,
};

use prometheus::Registry;
use tokio::runtime::{Builder, Runtime};

use self::{signals::Signals, start::Prepared};
use super::{
    config::{self, AppSettings, Live, Sources, Watcher},
    health::Checks,
    host::{self, Asked, Host},
    lifecycle::{Drain, Lifecycle},
    middleware::Served,
    router::Router,
    telemetry::{self, Identity, Propagation, Telemetry},
    transports::Certificates,
};

/// What the chassis offers an app at its start.
#[derive(Clone, Debug)]
pub struct Chassis {
    /// Where the app's own metrics are registered.
    pub registry: Registry,
    /// Where its health checks are registered.
    pub checks: Checks,
    /// Tells what lasts long that the replica drains.
    pub drain: Drain,
    /// Carries trace context to other services.
    pub propagation: Propagation,
    /// Who this replica is.
    pub identity: Identity,
    /// How many requests it has answered.
    pub served: Arc<Served>,
}

impl Chassis {
    /// A chassis of which nothing runs: for an app's own unit tests.
    ///
    /// # Panics
    /// Never: its metrics are the first of their registry.
    #[must_use]
    pub fn detached(identity: Identity) -> Self {
        let registry = Registry::new();
        Self {
            checks: Checks::new(&registry).expect("the registry's first metrics"),
            registry,
            drain: Lifecycle::new(None).drain(),
            propagation: Propagation::new(None).expect("the default propagators"),
            identity,
            served: Arc::default(),
        }
    }
}

/// Loads the settings, runs the app until a signal, and drains.
///
/// `app` makes the routes; it runs inside the I/O runtime.
pub fn run<A, F, E>(sources: Sources, identity: Identity, app: F) -> Exit
where
    A: AppSettings,
    F: FnOnce(&A, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    host::stand_between(&sources.environment);
    // Before the settings are read: a change in between is not missed.
    let watcher = Watcher::new(sources.paths());
    let loaded = match config::load::<A>(&sources) {
        Ok(loaded) => loaded,
        Err(problems) => {
            // There is no log yet: its settings are among those that are wrong.
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            return Exit::BadSettings;
        }
    };
    // Before privileges are given up: the key may be root's.
    let certificates = match Certificates::load(&loaded.settings.tls, &loaded.settings.server.listen) {
        Ok(certificates) => certificates,
        Err(bad) => {
            eprintln!("{bad} ({})", loaded.source(bad.key));
            return Exit::BadSettings;
        }
    };
    // Before any thread runs: it may give up privileges. What went wrong is told where there is a log.
    let host = Host::prepare(&loaded, &sources.environment);
    let lookup = |name: &str| sources.environment.get(name).map(str::to_owned);
    let is_terminal = io::stdout().is_terminal();
    let telemetry = match telemetry::start(&loaded.settings.telemetry, &identity, &lookup, is_terminal) {
        Ok(telemetry) => Arc::new(telemetry),
        Err(error) => {
            eprintln!("{error}");
            return Exit::BadSettings;
        }
    };
    let flush_timeout = loaded.settings.lifecycle.flush_timeout.get();
    let live = Arc::new(Live::new(sources, loaded));
    let started = host.and_then(|host| start(live, watcher, identity, &telemetry, Before { host, certificates }, app));
    started.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot start");
        let _ = telemetry.flush(flush_timeout);
        Exit::Failed
    })
}

/// What was made before any thread ran.
struct Before {
    host: Host,
    certificates: Certificates,
}

fn start<A, F, E>(
    live: Arc<Live<A>>,
    watcher: Watcher,
    identity: Identity,
    telemetry: &Arc<Telemetry>,
    before: Before,
    app: F,
) -> Result<Exit, StartError>
where
    A: AppSettings,
    F: FnOnce(&A, &Chassis) -> Result<Router, E>,
    E: fmt::Display,
{
    let settings = live.get();
    let io = build_runtime("io", settings.runtime.io_threads())?;
    let work = build_runtime("work", settings.runtime.work_threads())?;
    let control = Builder::new_current_thread().enable_all().build();
    let control = control.map_err(|error| StartError::new("starting the admin runtime", error))?;
    telemetry.watch_runtime("io", io.handle().clone());
    telemetry.watch_runtime("work", work.handle().clone());
    let exit = control.block_on(async {
        let unheard = |error| StartError::new("listening for signals", error);
        let mut signals = Signals::new().map_err(unheard)?;
        let mut asked = Asked::new().map_err(unheard)?;
        let prepared = Prepared::new(live, identity, telemetry, before, io.handle(), work.handle(), app)?;
        let turn = tokio::select! {
            biased;
            () = prepared.turn() => Ok(()),
            signal = signals.next_stop() => Err(signal),
        };
        if let Err(signal) = turn {
            tracing::info!(?signal, "told to stop before its turn");
            return Ok(Exit::Drained);
        }
        Ok(prepared.open(io.handle()).await.live(&mut signals, &mut asked, watcher).await)
    });
    // Never wait for a worker that is blocked: what had to end has ended.
    io.shutdown_background();
    work.shutdown_background();
    control.shutdown_background();
    exit
}

fn build_runtime(name: &'static str, threads: usize) -> Result<Runtime, StartError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|error| StartError::new(format!("starting the {name} runtime"), error))
}
