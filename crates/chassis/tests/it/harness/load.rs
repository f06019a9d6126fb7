//! Closed-loop load: each client sends its next request when the last one is answered, and never retries.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::http::{self, Connection, Failure, Response};

/// How a client treats its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// The next request at once, on the same connection until a response says close.
    KeepAlive,
    /// A connection for each request.
    NewConnection,
    /// Keep-alive with a pause before each request; a close during the pause is seen, as real clients do.
    ThinkTime(Duration),
}

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) ok: u64,
    pub(crate) non_2xx: u64,
    pub(crate) connect_errors: u64,
    pub(crate) resets: u64,
    pub(crate) eof_before_response: u64,
    pub(crate) eof_mid_response: u64,
    pub(crate) timeouts: u64,
    /// The first few failures, in words.
    pub(crate) examples: Vec<String>,
}

impl Outcomes {
    pub(crate) fn failed(&self) -> u64 {
        let lost = self.connect_errors + self.resets + self.eof_before_response + self.eof_mid_response;
        lost + self.non_2xx + self.timeouts
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ok, {} non-2xx, {} connect errors, {} resets, {} EOF before and {} within a response, {} timeouts {:?}",
            self.ok,
            self.non_2xx,
            self.connect_errors,
            self.resets,
            self.eof_before_response,
            self.eof_mid_response,
            self.timeouts,
            self.examples
        )
    }
}

/// Clients at work.
pub(crate) struct Load {
    targets: watch::Sender<Vec<SocketAddr>>,
    stop: watch::Sender<bool>,
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    ok: AtomicU64,
    outcomes: Mutex<Outcomes>,
    /// How long each answer took.
    latencies: Mutex<Vec<Duration>>,
}

impl Load {
    /// `clients` clients that ask `target` for `path`.
    pub(crate) fn start(target: SocketAddr, clients: usize, mode: Mode, path: &str) -> Self {
        Self::send(None, target, clients, mode, &format!("GET {path}"), "")
    }

    /// `clients` clients that post `body` to `path`.
    #[allow(dead_code, reason = "the tests of the doors do")]
    pub(crate) fn post(target: SocketAddr, clients: usize, mode: Mode, path: &str, body: &str) -> Self {
        Self::send(None, target, clients, mode, &format!("POST {path}"), body)
    }

    /// `clients` clients with the address `source`; they post `body` where it is not empty.
    #[allow(dead_code, reason = "the hostile tests do")]
    pub(crate) fn from(source: IpAddr, target: SocketAddr, clients: usize, mode: Mode, path: &str, body: &str) -> Self {
        let method = if body.is_empty() { "GET" } else { "POST" };
        Self::send(Some(source), target, clients, mode, &format!("{method} {path}"), body)
    }

    fn send(source: Option<IpAddr>, target: SocketAddr, clients: usize, mode: Mode, line: &str, body: &str) -> Self {
        let length = match body.len() {
            0 => String::new(),
            length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
        };
        let close = if matches!(mode, Mode::NewConnection) { "connection: close\r\n" } else { "" };
        let request: Arc<str> = format!("{line} HTTP/1.1\r\nhost: test\r\n{close}{length}\r\n{body}").into();
        let (targets, aims) = watch::channel(vec![target]);
        let (stop, stopped) = watch::channel(false);
        let mut load = Self { targets, stop, shared: Arc::default(), clients: JoinSet::new() };
        for _ in 0..clients {
            let shared = Arc::clone(&load.shared);
            let (aims, stopped, request) = (aims.clone(), stopped.clone(), Arc::clone(&request));
            let client = Client { source, aims, stopped, mode, request, shared };
            load.clients.spawn(client.run());
        }
        load
    }

    /// What a balancer does late: no new connections from now on. Open ones stay in use until they are told to close.
    pub(crate) fn take_out(&self) {
        self.targets.send_replace(Vec::new());
    }

    /// Requests answered with 2xx so far.
    pub(crate) fn ok(&self) -> u64 {
        self.shared.ok.load(Relaxed)
    }

    /// How long each answer took since this was last asked.
    #[allow(dead_code, reason = "the hostile tests do")]
    pub(crate) fn take_latencies(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.shared.latencies.lock().expect("the latencies"))
    }

    /// Lets every client finish its request, and counts.
    pub(crate) async fn stop(self) -> Outcomes {
        let Self { targets: _targets, stop, shared, clients } = self;
        stop.send_replace(true);
        clients.join_all().await;
        let mut outcomes = shared.outcomes.lock().expect("the outcomes").clone();
        outcomes.ok = shared.ok.load(Relaxed);
        outcomes
    }
}

struct Client {
    source: Option<IpAddr>,
    aims: watch::Receiver<Vec<SocketAddr>>,
    stopped: watch::Receiver<bool>,
    mode: Mode,
    request: Arc<str>,
    shared: Arc<Shared>,
}

impl Client {
    async fn run(mut self) {
        let mut kept = None;
        while let Some((fresh, mut connection)) = self.connection(kept.take()).await {
            if !fresh && self.pause_ends_it(&connection).await {
                continue;
            }
            if *self.stopped.borrow() {
                return;
            }
            let result = self.exchange(&mut connection).await;
            if self.count(&result) && result.is_ok_and(|response| !response.closes()) {
                kept = Some(connection).filter(|_| !matches!(self.mode, Mode::NewConnection));
            }
            // Lets the other clients of this thread in where the answer was there at once.
            tokio::task::yield_now().await;
        }
    }

    /// The kept connection or a new one; none at the end. Waits while there is nobody to ask.
    async fn connection(&mut self, kept: Option<Connection>) -> Option<(bool, Connection)> {
        if let Some(connection) = kept {
            return (!*self.stopped.borrow()).then_some((false, connection));
        }
        loop {
            let target = tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
                targets = self.aims.wait_for(|targets| !targets.is_empty()) => targets.ok()?[0],
            };
            match Connection::open_from(self.source, target).await {
                Ok(connection) => return Some((true, connection)),
                Err(failure) => self.count(&Err(failure)),
            };
            tokio::task::yield_now().await;
        }
    }

    /// Thinks, where this client does; whether the server ended the connection meanwhile.
    async fn pause_ends_it(&mut self, connection: &Connection) -> bool {
        let Mode::ThinkTime(pause) = self.mode else { return false };
        tokio::select! {
            ended = timeout(pause, http::peer_closed(connection)) => ended.is_ok(),
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
        }
    }

    async fn exchange(&self, connection: &mut Connection) -> Result<Response, Failure> {
        let begun = Instant::now();
        connection.send(self.request.as_bytes()).await?;
        let answer = connection.receive().await?;
        self.shared.latencies.lock().expect("the latencies").push(begun.elapsed());
        Ok(answer)
    }

    /// Counts a result; whether it was a 2xx.
    fn count(&self, result: &Result<Response, Failure>) -> bool {
        if result.as_ref().is_ok_and(|response| (200..300).contains(&response.status)) {
            self.shared.ok.fetch_add(1, Relaxed);
            return true;
        }
        let mut outcomes = self.shared.outcomes.lock().expect("the outcomes");
        let counter = match result {
            Ok(_) => &mut outcomes.non_2xx,
            Err(Failure::Connect(_)) => &mut outcomes.connect_errors,
            Err(Failure::Reset) => &mut outcomes.resets,
            Err(Failure::EofBeforeResponse) => &mut outcomes.eof_before_response,
            Err(Failure::EofMidResponse | Failure::Garbage) => &mut outcomes.eof_mid_response,
            Err(Failure::Timeout) => &mut outcomes.timeouts,
        };
        *counter += 1;
        if outcomes.examples.len() < 5 {
            outcomes.examples.push(match result {
                Ok(response) => format!("{} {}", response.status, response.text()),
                Err(failure) => format!("{failure:?}"),
            });
        }
        false
    }
}
