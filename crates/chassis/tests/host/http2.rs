//! Clients over HTTP/2 that never send a request twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::task::JoinSet;

use crate::harness::http::{Connection, Failure};

#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "../it/connections/frames.rs"]
mod frames;

/// Requests in flight on a connection.
const AT_A_TIME: u8 = 4;

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    ok: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// `clients` connections to `target`, each with a few requests at a time for `/whoami`.
    pub(crate) fn start(target: SocketAddr, clients: usize) -> Self {
        let mut load = Self { shared: Arc::default(), clients: JoinSet::new() };
        for _ in 0..clients {
            load.clients.spawn(run(target, Arc::clone(&load.shared)));
        }
        load
    }

    /// Requests answered with 200 so far.
    pub(crate) fn ok(&self) -> u64 {
        self.shared.ok.load(Relaxed)
    }

    /// Lets every client finish its request: how many were answered, and what failed.
    pub(crate) async fn stop(self) -> (u64, Vec<String>) {
        self.shared.stop.store(true, Relaxed);
        self.clients.join_all().await;
        (self.shared.ok.load(Relaxed), self.shared.failures.lock().expect("the failures").clone())
    }
}

/// Conversations, one connection after another.
async fn run(target: SocketAddr, shared: Arc<Shared>) {
    while !shared.stop.load(Relaxed) {
        if let Err(failure) = converse(target, &shared).await {
            shared.failures.lock().expect("the failures").push(format!("{failure:?}"));
        }
    }
}

/// Asks until the server says GOAWAY, or streams run out. What is sent before the PING behind GOAWAY is acknowledged
/// has to be answered (RFC 9113, section 6.8).
async fn converse(target: SocketAddr, shared: &Shared) -> Result<(), Failure> {
    let mut connection = frames::open_over(Connection::open(target).await?, &[]).await;
    for first in (1..=u8::MAX - 2 * AT_A_TIME).step_by(2 * usize::from(AT_A_TIME)) {
        for request in 0..AT_A_TIME {
            frames::send_get_on(&mut connection, first + 2 * request, "/whoami").await;
        }
        let is_told = answers(&mut connection, shared).await?;
        if is_told || shared.stop.load(Relaxed) {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes the answers to all that was asked; whether GOAWAY was among them.
async fn answers(connection: &mut Connection, shared: &Shared) -> Result<bool, Failure> {
    let (mut open, mut is_told) = (AT_A_TIME, false);
    while open > 0 {
        let frame = frames::next(connection).await?;
        is_told |= frame.kind == frames::GOAWAY;
        if frame.kind == frames::HEADERS && !frame.is_ok() {
            return Err(Failure::Garbage);
        }
        if frame.ends_stream() {
            open -= 1;
            shared.ok.fetch_add(1, Relaxed);
        }
    }
    Ok(is_told)
}
