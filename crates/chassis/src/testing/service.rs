//! The service in the test's own process.
//!
//! Each has its own threads, ports, settings, metrics and log, so tests with one each run beside each other.
//!
//! Next: `start`.

use std::{
    fmt,
    future::ready,
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use http::Method;
use tokio::{
    signal::unix::SignalKind,
    sync::{mpsc::UnboundedSender, watch},
    time::timeout,
};

use super::{
    answer::Answer,
    http::get,
    log::Log,
    metrics,
    pending::{PATIENCE, Pending, poll},
    request::Request,
    start::{Ended, Starting, end},
};
use crate::{
    config::AppSettings,
    program,
    replica::{Addresses, Chassis, Exit, StartError},
    router::Router,
};

/// A running service. Dropping it ends it at once, as a second SIGTERM does; in a test that fails, its log is printed.
///
/// What it takes time for is [`Pending`]: `.await` it in a `#[tokio::test]`, or call `wait` in a `#[test]`.
pub struct Service {
    addresses: Addresses,
    /// None once it is dropped.
    signals: Option<UnboundedSender<SignalKind>>,
    ended: watch::Receiver<Option<Ended>>,
    log: Log,
}

impl Service {
    pub(super) fn new(
        addresses: Addresses,
        signals: UnboundedSender<SignalKind>,
        ended: watch::Receiver<Option<Ended>>,
        log: Log,
    ) -> Self {
        Self { addresses, signals: Some(signals), ended, log }
    }

    /// Starts a service with these settings, names as in the environment, and waits until it is ready. It listens on free
    /// ports. Nothing of this process's environment reaches it.
    ///
    /// The result is why it did not start: each wrong setting, an address in use, the app's own error.
    pub fn start<A, F, E, N, V>(
        service: program::Service,
        app: F,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Pending<Result<Self, StartError>>
    where
        A: AppSettings,
        F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
        E: fmt::Display,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let started = Starting::new(service, app, settings);
        Pending::start(async move {
            match started.listening().await {
                Ok(service) => Ok(service.ready().await),
                Err(error) => Ok(Err(error)),
            }
        })
    }

    /// The same, and waits only until it listens: for a test of what it says until it is ready.
    pub fn start_unready<A, F, E, N, V>(
        service: program::Service,
        app: F,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Pending<Result<Self, StartError>>
    where
        A: AppSettings,
        F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
        E: fmt::Display,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let started = Starting::new(service, app, settings);
        Pending::start(async move { Ok(started.listening().await) })
    }

    /// Where its routes are: the first TCP port of `server.listen`.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    #[track_caller]
    pub fn app(&self) -> SocketAddr {
        self.addresses.app.expect("a TCP port in server.listen")
    }

    /// Where probes and metrics are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// `GET path`, over plain HTTP.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// `POST path`.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// `PUT path`.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// `PATCH path`.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.app(), method, path)
    }

    /// `GET path` of the admin listener, such as `/readyz`.
    pub fn probe(&self, path: &str) -> Request {
        Request::new(self.admin(), Method::GET, path)
    }

    /// The value of a metric: the sum of its series with these labels, and any others; none where there is no such series.
    /// Of a histogram ask for `NAME_count`, `NAME_sum`, or `NAME_bucket` with its `le`.
    ///
    /// # Panics
    /// When the service has ended.
    #[must_use]
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let answer = get(self.admin(), "/metrics").unwrap_or_else(|error| panic!("/metrics: {error}"));
        metrics::sum(&answer.body, name, &owned(labels))
    }

    /// Waits until the metric, as [`metric`](Self::metric) reads it, has a value for which `holds` is true.
    pub fn wait_for_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        holds: impl Fn(f64) -> bool + Send + Sync + 'static,
    ) -> Pending<f64> {
        let (what, name, labels) = (format!("{name} {labels:?}"), name.to_owned(), owned(labels));
        until(self.admin(), "/metrics", what, move |answer| match metrics::sum(&answer.body, &name, &labels) {
            Some(value) if holds(value) => Ok(value),
            Some(value) => Err(format!("it is {value}")),
            None => Err("there is no such series".to_owned()),
        })
    }

    /// Waits until `GET path` of the admin listener answers with `status`, such as 503 from `/readyz`.
    pub fn wait_for_probe(&self, path: &str, status: u16) -> Pending<Answer> {
        until(self.admin(), path, format!("{status} from {path}"), move |answer| {
            if answer.status == status { Ok(answer) } else { Err(format!("{} {}", answer.status, answer.body)) }
        })
    }

    /// The log so far: lines of JSON, as on stdout, without access lines unless `APP__TELEMETRY__ACCESS_LOG` is `true`. A
    /// line is there at most 100 ms after it was logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line of the log that contains `part`: the first one.
    pub fn wait_for_log(&self, part: &str) -> Pending<String> {
        let (log, part) = (self.log.clone(), part.to_owned());
        Pending::poll(format!("a line of the log with {part:?}"), move || {
            ready(log.line(&part).ok_or_else(|| format!("the log is:\n{}", log.text())))
        })
    }

    /// Sends what SIGTERM is to a program: it drains, after `lifecycle.drain_delay`, which is 0 here unless the test sets
    /// it. A second time ends it at once.
    pub fn drain(&self) {
        if let Some(signals) = &self.signals {
            // It may have ended.
            let _ = signals.send(SignalKind::terminate());
        }
    }

    /// Waits for the end, and gives the program's exit code: 0 when all requests were answered, 1 when some were cut off
    /// at `lifecycle.drain_timeout`, 143 after a second [`drain`](Self::drain).
    pub fn exit_code(&self) -> Pending<u8> {
        let mut ended = self.ended.clone();
        Pending::start(async move {
            match timeout(PATIENCE, end(&mut ended)).await {
                Ok(ended) => Ok(ended.unwrap_or_else(|_| Exit::Failed.code())),
                Err(_) => Err(io::Error::other(format!("it has not ended within {PATIENCE:?}: was `drain` called?"))),
            }
        })
    }

    async fn ready(self) -> Result<Self, StartError> {
        let asked = || async {
            if let Some(Err(error)) = &*self.ended.borrow() {
                return Ok(Err(error.clone()));
            }
            match self.probe("/readyz").answer().await {
                Ok(answer) if answer.status == 200 => Ok(Ok(())),
                Ok(answer) => Err(answer.body),
                Err(error) => Err(error.to_string()),
            }
        };
        match poll(asked).await {
            Ok(Ok(())) => Ok(self),
            Ok(Err(error)) => Err(error),
            Err(seen) => {
                Err(StartError::new(format!("not ready within {PATIENCE:?}"), format!("{seen}\n{}", self.log.text())))
            }
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() {
            eprint!("the service's log:\n{}", self.log.text());
        }
        self.signals = None;
        // Its ports and files are free after this, unless its start blocks.
        let deadline = Instant::now() + END;
        while self.ended.borrow().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// 5 s: an end without a drain takes milliseconds, on a busy machine more.
const END: Duration = Duration::from_secs(5);

/// Asks until `judge` takes the answer.
fn until<T: Send + 'static>(
    address: SocketAddr,
    path: &str,
    what: String,
    judge: impl Fn(Answer) -> Result<T, String> + Send + Sync + 'static,
) -> Pending<T> {
    let (path, judge) = (path.to_owned(), Arc::new(judge));
    Pending::poll(what, move || {
        let (asked, judge) = (Request::new(address, Method::GET, &path).answer(), Arc::clone(&judge));
        async move { asked.await.map_err(|error| error.to_string()).and_then(|answer| judge(answer)) }
    })
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
