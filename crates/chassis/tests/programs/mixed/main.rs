//! A mix of clients of the program `ledger`, each of which sends a request once and counts what became of it.
//!
//! `mixed NAME=KIND*CLIENTS/PAUSE_MS@HOST:PORT...` runs until its standard input ends, then lets each client finish, and
//! prints one JSON object with the counts of each group. Until then it prints every second how many requests were answered;
//! events and messages of streams are not among those.
//!
//! ```text
//! post1, post2            a POST of some bytes, which come back (HTTP/1.1, HTTP/2)
//! upload1, upload2        a POST of 1,000,000 bytes
//! download1, download2    a GET of as many
//! events1, events2        an event stream, resumed by Last-Event-ID
//! socket                  a WebSocket whose messages come back, closed with 1001
//! grpc                    a gRPC stream in both directions
//! slow-head, slow-body, stalled-reader    hostile peers, until they are closed
//! ```
//!
//! Next: `exchange`.

mod exchange;
mod hostile;
mod streams;

use std::{
    io::Read,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use exchange::{Asks, Version};

/// 5 of each group: enough to see what goes wrong.
const EXAMPLES: usize = 5;

/// What became of a group's requests, messages or events.
#[derive(Debug, Default)]
struct Counts {
    /// Each once, whatever became of it.
    sent: AtomicU64,
    /// With the right answer.
    answered: AtomicU64,
    /// A status that is not 2xx, or an answer that is not the right one.
    wrong: AtomicU64,
    /// No answer: the connection ended, or a minute has passed.
    lost: AtomicU64,
    /// Not sent, as the connection had ended before, or not looked at, as the peer says by its GOAWAY (RFC 9113, section
    /// 6.8): given to another one.
    moved: AtomicU64,
    /// Ends that a stream or a peer was told of: 1001, the status of gRPC, the end of a body.
    ends: AtomicU64,
    connections: AtomicU64,
    examples: Mutex<Vec<String>>,
}

impl Counts {
    fn add(&self, counter: &AtomicU64, example: impl FnOnce() -> String) {
        counter.fetch_add(1, Relaxed);
        let mut examples = self.examples.lock().expect("the examples");
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }

    fn lost(&self, example: impl FnOnce() -> String) {
        self.add(&self.lost, example);
    }

    fn wrong(&self, example: impl FnOnce() -> String) {
        self.add(&self.wrong, example);
    }

    fn json(&self) -> serde_json::Value {
        let [sent, answered, wrong, lost, moved, ends, connections] =
            [&self.sent, &self.answered, &self.wrong, &self.lost, &self.moved, &self.ends, &self.connections]
                .map(|counter| counter.load(Relaxed));
        let examples = self.examples.lock().expect("the examples").clone();
        json!({
            "sent": sent, "answered": answered, "wrong": wrong, "lost": lost, "moved": moved, "ends": ends,
            "connections": connections, "examples": examples,
        })
    }
}

/// What each client of a group knows.
#[derive(Clone, Debug)]
struct Client {
    target: SocketAddr,
    pause: Duration,
    counts: Arc<Counts>,
    stops: Arc<AtomicBool>,
}

impl Client {
    fn stops(&self) -> bool {
        self.stops.load(Relaxed)
    }

    fn counted(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// One of a kind, until it stops.
    async fn run(self, kind: &str) {
        match kind {
            "post1" => exchange::run(self, Version::Http1, Asks::Quote).await,
            "post2" => exchange::run(self, Version::Http2, Asks::Quote).await,
            "upload1" => exchange::run(self, Version::Http1, Asks::Upload).await,
            "upload2" => exchange::run(self, Version::Http2, Asks::Upload).await,
            "download1" => exchange::run(self, Version::Http1, Asks::Download).await,
            "download2" => exchange::run(self, Version::Http2, Asks::Download).await,
            "events1" => streams::events(self, Version::Http1).await,
            "events2" => streams::events(self, Version::Http2).await,
            "socket" => streams::socket(self).await,
            "grpc" => streams::grpc(self).await,
            _ => hostile::run(self, kind).await,
        }
    }
}

/// `NAME=KIND*CLIENTS/PAUSE_MS@HOST:PORT`.
struct Group {
    name: String,
    kind: String,
    clients: usize,
    pause: Duration,
    target: SocketAddr,
}

impl Group {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('=')?;
        let (kind, rest) = rest.split_once('*')?;
        let (clients, rest) = rest.split_once('/')?;
        let (pause, target) = rest.split_once('@')?;
        let pause = Duration::from_millis(pause.parse().ok()?);
        let (clients, target) = (clients.parse().ok()?, target.parse().ok()?);
        Some(Self { name: name.into(), kind: kind.into(), clients, pause, target })
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let stops = Arc::<AtomicBool>::default();
    let (mut counts, mut clients) = (Vec::new(), JoinSet::new());
    for text in &arguments {
        let expected = || panic!("expected NAME=KIND*CLIENTS/PAUSE_MS@HOST:PORT, and not {text:?}");
        let group = Group::parse(text).unwrap_or_else(expected);
        let counted = Arc::<Counts>::default();
        for _ in 0..group.clients {
            let (target, pause) = (group.target, group.pause);
            let client = Client { target, pause, counts: Arc::clone(&counted), stops: Arc::clone(&stops) };
            let kind = group.kind.clone();
            clients.spawn(async move { client.run(&kind).await });
        }
        counts.push((group.name, group.kind, counted));
    }
    let requests = counts.iter().filter(|(_, kind, _)| !matches!(&**kind, "events1" | "events2" | "socket" | "grpc"));
    await_stop(&stops, || requests.clone().map(|(_, _, group)| group.answered.load(Relaxed)).sum()).await;
    clients.join_all().await;
    let groups: serde_json::Map<_, _> = counts
        .into_iter()
        .map(|(name, kind, counts)| {
            let mut fields = counts.json();
            fields["kind"] = kind.into();
            (name, fields)
        })
        .collect();
    println!("{}", json!({ "groups": groups }));
}

/// Until standard input ends.
async fn await_stop(stops: &Arc<AtomicBool>, answered: impl Fn() -> u64) {
    let told = Arc::clone(stops);
    std::thread::spawn(move || {
        // Whatever comes, and an error as well, until the end.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Relaxed);
    });
    while !stops.load(Relaxed) {
        sleep(Duration::from_secs(1)).await;
        println!("{}", json!({ "answered": answered() }));
    }
}
