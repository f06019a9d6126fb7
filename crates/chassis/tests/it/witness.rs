//! The load of these tests is a witness of losses: it sends each request once, and counts as lost what got no answer.
//!
//! Load generators do not: Go's client sends a GET again on a new connection, curl a POST too (findings/load-generators-resend.sh).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{net::TcpListener, task::AbortHandle};

use crate::harness::{
    eventually,
    http::Connection,
    load::{Load, Mode},
    shared,
};

/// Which request of a connection the server drops: the third, so that most of them are answered.
const LOST: u64 = 3;

#[tokio::test]
async fn a_get_that_a_server_drops_is_counted_and_not_sent_again() {
    let _turn = shared().await;
    counts_what_is_dropped(|address| Load::start(address, 4, Mode::KeepAlive, "/")).await;
}

#[tokio::test]
async fn a_post_that_a_server_drops_is_counted_and_not_sent_again() {
    let _turn = shared().await;
    counts_what_is_dropped(|address| Load::post(address, 4, Mode::KeepAlive, "/", "{}")).await;
}

async fn counts_what_is_dropped(load: impl FnOnce(SocketAddr) -> Load) {
    let server = Dropping::start().await;
    let load = load(server.address);
    let enough = async || (load.ok() >= 200).then_some(());
    eventually("200 answers", Duration::from_secs(20), enough).await;
    let outcomes = load.stop().await;
    let (came, dropped) = (server.counts.came.load(Relaxed), server.counts.dropped.load(Relaxed));
    assert!(dropped > 50, "{dropped} of {came} dropped");
    assert_eq!(outcomes.failed(), dropped, "{outcomes}");
    assert_eq!(outcomes.ok + outcomes.failed(), came, "each request came once: {outcomes}");
}

/// A server that reads every third request of a connection whole, and ends the connection without an answer.
struct Dropping {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Counts {
    came: AtomicU64,
    dropped: AtomicU64,
}

impl Dropping {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding a server");
        let address = listener.local_addr().expect("a bound address");
        let counts = Arc::<Counts>::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&counts))).abort_handle();
        Self { address, counts, accepting }
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(Connection::over(stream), Arc::clone(&counts)));
    }
}

async fn serve(mut connection: Connection, counts: Arc<Counts>) {
    for number in 1..=LOST {
        if !has_read_one(&mut connection).await {
            return;
        }
        counts.came.fetch_add(1, Relaxed);
        if number == LOST {
            counts.dropped.fetch_add(1, Relaxed);
        } else if connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}

/// Reads a whole request; false at the connection's end.
async fn has_read_one(connection: &mut Connection) -> bool {
    let mut length = 0;
    loop {
        let Ok(line) = connection.read_line().await else { return false };
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim_end().parse().expect("a length");
        }
    }
    length == 0 || connection.receive_bytes(length).await.is_ok()
}
