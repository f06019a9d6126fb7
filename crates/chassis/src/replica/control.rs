//! The main thread's runtime: it handles signals from here on, even while the settings files are read.
//!
//! Reading from a mount whose server is gone blocks forever. So files are read on a separate thread, which ends before
//! anything else starts; a stop signal does not wait for it.
//!
//! Next: [`mod@super::start`].

use std::{panic, thread};

use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};

use crate::{
    config::{self, AppSettings, Loaded, Sources},
    host::Asked,
    process::{HeldSignals, Signals, StartError, Watcher},
    telemetry::Scope,
    transports::Certificates,
};

/// The main thread's runtime and its signals.
pub(super) struct Control {
    pub(super) runtime: Runtime,
    pub(super) signals: Signals,
    pub(super) asked: Asked,
}

impl Control {
    /// Installs the handlers, and unblocks the signals. Starts no thread.
    pub(super) fn start(held: HeldSignals) -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StartError::new("starting the admin runtime", error))?;
        let listening = runtime.block_on(async { Ok((Signals::new()?, Asked::new()?)) });
        let (signals, asked) =
            listening.map_err(|error: std::io::Error| StartError::new("listening for signals", error))?;
        held.release();
        Ok(Self { runtime, signals, asked })
    }

    /// For a replica among others in its process, which is stopped by what comes through `signals`.
    pub(super) fn shared(signals: Signals) -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StartError::new("starting the admin runtime", error))?;
        Ok(Self { runtime, signals, asked: Asked::never() })
    }

    /// Reads all files; none if a stop signal came first.
    pub(super) fn read<A: AppSettings>(&mut self, sources: &Sources) -> Option<Result<Files<A>, Vec<String>>> {
        let sources = sources.clone();
        let signals = &mut self.signals;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = signals.next_stop() => None,
                read = on_a_thread("settings", move || Files::read(&sources)) => Some(read),
            }
        })
    }
}

/// Runs `work` on a thread that has ended when this resolves: later steps may drop privileges, or change the
/// environment.
pub(super) async fn on_a_thread<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let scope = Scope::current();
    let (done, when_done) = oneshot::channel::<()>();
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        // Dropped with the thread's work, even if it panics.
        let _done = done;
        if let Some(scope) = scope {
            scope.enter();
        }
        work()
    });
    let thread = thread.expect("a process may have a second thread");
    let _ = when_done.await;
    thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

/// What a replica reads before it starts.
pub(super) struct Files<A> {
    pub(super) watcher: Watcher,
    pub(super) loaded: Loaded<A>,
    pub(super) certificates: Certificates,
}

impl<A: AppSettings> Files<A> {
    /// Reads them, or returns the errors, one line each.
    fn read(sources: &Sources) -> Result<Self, Vec<String>> {
        // Before the settings are read: a change in between is not missed.
        let watcher = Watcher::new(sources.paths());
        let loaded =
            config::load::<A>(sources).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        // Before privileges are dropped: the key may be readable only by root.
        let certificates = Certificates::load(&loaded.settings.tls, &loaded.settings.server.listen)
            .map_err(|bad| vec![format!("{bad} ({})", loaded.source(bad.key))])?;
        Ok(Self { watcher, loaded, certificates })
    }
}
