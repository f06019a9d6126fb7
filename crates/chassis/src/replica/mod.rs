//! A replica: its parts started in order, and stopped in order.
//!
//! ```text
//! signals → settings → sockets, privileges (feature host) → telemetry → runtimes → admin (not ready) → listeners
//!         → app, and what it waits for, within start_timeout → checks → a successor's turn (feature host) → accept → ready
//!         → background tasks
//! SIGTERM → draining, for drain_delay → stop accepting → connections end → tasks end, both within drain_timeout
//!         → the app's resources close → telemetry flushed, within flush_timeout → admin closes → exit
//! ```
//!
//! All of it runs on the program's main thread, which also serves the admin listener: signals are handled and the drain
//! goes on when every I/O worker is blocked. A second signal ends the program at once.
//!
//! Next: [`super::listener`].

mod app;
mod bind;
mod chassis;
mod control;
#[cfg(feature = "guest")]
mod embedded;
mod core;
mod life;
mod resize;
mod runtimes;
mod shared;
mod start;

pub use self::chassis::Chassis;
pub use crate::process::StartError;
pub(crate) use crate::process::{Exit, HeldSignals};
#[cfg(feature = "guest")]
pub use embedded::{Embedded, Request, ResponseBody};
pub(crate) use shared::{Addresses, Given, run_shared};

use std::{
    fmt,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot::Sender;

use self::{
    app::App,
    control::{Control, Files},
    runtimes::Runtimes,
    start::Prepared,
};
use crate::{
    admin::{self, agent},
    config::{AppSettings, Live, Settings, Sources},
    host::{self, Host},
    process::{Watcher, peak},
    router::Router,
    telemetry::{self, Identity, Telemetry},
    transports::Certificates,
};

/// Loads the settings, runs the app until a signal, and drains.
///
/// `app` makes the routes; it runs inside the I/O runtime.
pub(crate) fn run<A, F, E>(held: HeldSignals, sources: Sources, identity: Identity, app: F) -> Exit
where
    A: AppSettings,
    F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
    E: fmt::Display,
{
    let held = host::fork_supervisor(&sources.environment, held);
    let mut control = match Control::start(held) {
        Ok(control) => control,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Failed;
        }
    };
    let Files { watcher, loaded, certificates } = match control.read::<A>(&sources) {
        Some(Ok(files)) => files,
        Some(Err(problems)) => {
            // There is no log yet: its own settings may be invalid.
            eprintln!("{}", problems.join("\n"));
            return Exit::BadSettings;
        }
        None => {
            eprintln!("stop signal received while reading the settings; exiting");
            return Exit::Drained;
        }
    };
    // Before any thread runs: it may drop privileges. Errors are reported once there is a log.
    let host = Host::prepare(&loaded.settings.host, &listeners(&loaded.settings), &sources.environment);
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
    let app = app::erased(Arc::clone(&loaded.settings), app);
    let live = Arc::new(Live::new(sources, loaded));
    let before = host.map(|host| Before { host, certificates, listening: None });
    let started = before.and_then(|before| start(&mut control, live, watcher, identity, &telemetry, before, app));
    // Never wait for a blocked worker: everything else has ended.
    control.runtime.shutdown_background();
    started.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot start");
        let _ = telemetry.flush(flush_timeout);
        Exit::Failed
    })
}

/// The URLs of all listeners.
fn listeners<A>(settings: &Settings<A>) -> Vec<String> {
    let agent = settings.agent.listen.iter().map(|listen| agent::url(listen));
    settings.server.listen.iter().cloned().chain([admin::url(&settings.admin.listen)]).chain(agent).collect()
}

/// What was made before any thread ran.
struct Before {
    host: Host,
    certificates: Certificates,
    /// Who waits for the addresses of the listeners.
    listening: Option<Sender<Addresses>>,
}

fn start<A: AppSettings>(
    control: &mut Control,
    live: Arc<Live<A>>,
    watcher: Watcher,
    identity: Identity,
    telemetry: &Arc<Telemetry>,
    before: Before,
    app: App,
) -> Result<Exit, StartError> {
    let settings = live.get();
    let runtimes = Runtimes::start(&settings.runtime, telemetry)?;
    let io = runtimes.io.handle();
    let Control { runtime, signals, asked } = control;
    let exit = runtime.block_on(async {
        // A process that has several replicas has its memory to itself.
        if telemetry.scope().is_none() {
            tokio::spawn(peak::watch(runtimes.resources.clone()));
        }
        let prepare = async {
            let prepared = Prepared::new(live, identity, telemetry, before, &runtimes, app).await?;
            // Let the runtime process pending signals: a replica that must stop does not begin to serve.
            tokio::task::yield_now().await;
            prepared.turn().await;
            Ok(prepared)
        };
        let prepared = tokio::select! {
            biased;
            signal = signals.next_stop() => {
                tracing::info!(signal = signal.as_raw_value(), "stop signal received before serving; exiting");
                let _ = telemetry.flush(settings.lifecycle.flush_timeout.get());
                return Ok(Exit::Drained);
            }
            prepared = prepare => prepared?,
        };
        Ok(prepared.open(io).await.run_until_signal(signals, asked, watcher).await)
    });
    runtimes.shutdown(telemetry.scope().map_or(Duration::ZERO, |_| SHARED_END));
    exit
}

/// A program never waits for a blocked worker: everything else has ended. A process that goes on waits 1 s for its sockets
/// to be closed; workers that are not blocked take a fraction of it.
const SHARED_END: Duration = Duration::from_secs(1);
