//! The start of a service in the test's own process, on a thread of its own.
//!
//! Next: `pending`.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    thread,
};

use tokio::{
    signal::unix::SignalKind,
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        oneshot, watch,
    },
    time::timeout,
};

use super::{log::Log, pending::PATIENCE, service::Service};
use crate::{
    config::{AppSettings, Environment, Sources},
    program,
    replica::{Addresses, Chassis, Given, StartError, run_shared},
    router::Router,
    telemetry::{Colour, Identity, Output, panic_message},
};

/// What each service has unless the test says otherwise.
const SETTINGS: [(&str, &str); 7] = [
    ("APP__SERVER__LISTEN", "http://127.0.0.1:0"),
    ("APP__ADMIN__LISTEN", "127.0.0.1:0"),
    ("APP__TELEMETRY__LOG_FORMAT", "json"),
    // A test under load does not keep a line for each request.
    ("APP__TELEMETRY__ACCESS_LOG", "false"),
    // No balancer has to notice the drain.
    ("APP__LIFECYCLE__DRAIN_DELAY", "0s"),
    // Two, so that a handler that blocks does not block all; and no more, since tests run beside each other.
    ("APP__RUNTIME__WORKER_THREADS", "2"),
    ("APP__RUNTIME__WORK_THREADS", "2"),
];

/// How its thread ended: the exit code, or why it did not start.
pub(super) type Ended = Result<u8, StartError>;

/// A service whose thread runs, and that may not listen yet.
pub(super) struct Starting {
    listening: oneshot::Receiver<Addresses>,
    signals: UnboundedSender<SignalKind>,
    ended: watch::Receiver<Option<Ended>>,
    log: Log,
}

impl Starting {
    pub(super) fn new<A, F, E, N, V>(
        service: program::Service,
        app: F,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Self
    where
        A: AppSettings,
        F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
        E: fmt::Display,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let sources = sources(settings);
        let (signals, received) = unbounded_channel();
        let (listens, listening) = oneshot::channel();
        let (ends, ended) = watch::channel(None);
        let log = Log::default();
        let output = Output { writer: Box::new(log.clone()), is_terminal: false, colour: Colour::Plain };
        let given = Given { signals: received, output, listening: listens };
        let identity = service.identity(&sources.environment);
        let run = move || ends.send_replace(Some(run(given, sources, identity, app)));
        let thread = thread::Builder::new().name(service.name.to_owned());
        // Not joined: a start that blocks must not keep the test from its end.
        thread.spawn(run).expect("a process may have one more thread");
        Self { listening, signals, ended, log }
    }

    pub(super) async fn listening(mut self) -> Result<Service, StartError> {
        let addresses = match timeout(PATIENCE, self.listening).await {
            Ok(Ok(addresses)) => addresses,
            // It has ended: the error says why.
            Ok(Err(_)) => {
                let code = end(&mut self.ended).await?;
                return Err(StartError::new("listening", format!("it ended with exit code {code}")));
            }
            Err(_) => return Err(StartError::new("listening", format!("not within {PATIENCE:?}"))),
        };
        Ok(Service::new(addresses, self.signals, self.ended, self.log))
    }
}

/// The settings, with those of every test below them.
fn sources<N: AsRef<str>, V: AsRef<str>>(settings: impl IntoIterator<Item = (N, V)>) -> Sources {
    let own = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let given = settings.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned()));
    Sources { environment: own.into_iter().chain(given).collect::<Environment>(), ..Sources::default() }
}

fn run<A, F, E>(given: Given, sources: Sources, identity: Identity, app: F) -> Ended
where
    A: AppSettings,
    F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
    E: fmt::Display,
{
    match panic::catch_unwind(AssertUnwindSafe(|| run_shared(given, sources, identity, app))) {
        Ok(Ok(exit)) => Ok(exit.code()),
        Ok(Err(error)) => Err(error),
        Err(panicked) => Err(StartError::new("the service panicked", panic_message(&*panicked))),
    }
}

/// Waits for the end of its thread.
pub(super) async fn end(ended: &mut watch::Receiver<Option<Ended>>) -> Ended {
    let ended = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
    ended.ok().flatten().unwrap_or_else(|| Err(StartError::new("running", "its thread ended without a result")))
}
