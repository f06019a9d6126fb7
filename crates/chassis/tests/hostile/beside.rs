//! The healthy clients beside every case, and what the process may cost meanwhile.

use std::{net::SocketAddr, time::Duration};

use crate::harness::{
    http::Connection,
    load::{Load, Mode, Outcomes},
    server::Server,
};

/// A valid parcel for `POST /v1/quotes` of the service.
pub(crate) const QUOTE: &str = r#"{"from":"DE","to":"FR","weight_g":1200,"dimensions_mm":{"length":300,"width":200,"height":100},"service":"standard"}"#;

/// 20 MB: what no attack may add to the resident memory.
pub(crate) const ROOM_KIB: u64 = 20_000;

/// 32 clients that do their part: half of them post a body.
pub(crate) struct Healthy {
    reading: Load,
    posting: Load,
    /// The 99th percentile before the case began.
    before: Option<Duration>,
}

impl Healthy {
    /// Against the service itself.
    pub(crate) fn start(target: SocketAddr) -> Self {
        Self::of(target, "/whoami", "/v1/quotes", QUOTE)
    }

    /// Against any app that answers `GET read` and `POST post` with `body`.
    pub(crate) fn of(target: SocketAddr, read: &str, post: &str, body: &str) -> Self {
        let mode = Mode::ThinkTime(Duration::from_millis(5));
        let (reading, posting) = (Load::start(target, 16, mode, read), Load::post(target, 16, mode, post, body));
        Self { reading, posting, before: None }
    }

    /// Waits until some were answered: what they took stands beside what they take from here on.
    pub(crate) async fn settle(&mut self) {
        self.answered(500).await;
        self.p99();
        self.answered(1500).await;
        self.before = self.p99();
    }

    /// Waits until many more were answered beside what is held now. What they took is printed apart from the moments
    /// at which it came and goes.
    pub(crate) async fn answered_beside(&self, what: &str) {
        let _while_it_came = self.p99();
        self.answered(1500).await;
        self.print_p99(&format!("{what}, held"));
    }

    fn print_p99(&self, beside: &str) {
        if let (Some(before), Some(now)) = (self.before, self.p99()) {
            // Printed, not asserted: a busy machine has its own.
            let ratio = now.as_secs_f64() / before.as_secs_f64();
            println!("beside {beside}: p99 {before:?} before, {now:?} meanwhile, {ratio:.2} times");
        }
    }

    fn p99(&self) -> Option<Duration> {
        let mut latencies = self.reading.take_latencies();
        latencies.append(&mut self.posting.take_latencies());
        latencies.sort_unstable();
        latencies.get(latencies.len() * 99 / 100).copied()
    }

    /// Waits until `count` more requests were answered, so that a case has lasted for some work, not for some time.
    pub(crate) async fn answered(&self, count: u64) {
        let aim = self.reading.ok() + self.posting.ok() + count;
        crate::harness::eventually("healthy clients are answered", Duration::from_mins(1), async || {
            (self.reading.ok() + self.posting.ok() >= aim).then_some(())
        })
        .await;
    }

    /// Ends them; none of their requests may have failed.
    pub(crate) async fn none_failed(self, beside: &str) -> u64 {
        self.print_p99(beside);
        let (reading, posting): (Outcomes, Outcomes) = (self.reading.stop().await, self.posting.stop().await);
        println!("beside {beside}: GET {reading}; POST {posting}");
        assert_eq!(reading.failed() + posting.failed(), 0, "beside {beside}: GET {reading}; POST {posting}");
        assert!(reading.ok > 100 && posting.ok > 100, "no progress beside {beside}: GET {reading}; POST {posting}");
        reading.ok + posting.ok
    }
}

/// The resident memory of a server before a case.
pub(crate) struct Memory(u64);

impl Memory {
    /// After the healthy clients have warmed it up.
    pub(crate) fn of(server: &Server) -> Self {
        Self(server.resident_kib())
    }

    /// It has not grown by more than [`ROOM_KIB`].
    pub(crate) fn holds(&self, server: &Server, beside: &str) {
        let now = server.resident_kib();
        println!("beside {beside}: {} KiB before, {now} KiB now", self.0);
        assert!(now <= self.0 + ROOM_KIB, "beside {beside}: {} KiB before, {now} KiB now", self.0);
    }
}

/// How large a case is: the small number in each run, the large one with `HOSTILE=full`.
pub(crate) fn size(small: usize, full: usize) -> usize {
    if std::env::var("HOSTILE").is_ok_and(|value| value == "full") { full } else { small }
}

/// `count` connections that have sent `bytes` and nothing more.
pub(crate) async fn held(address: SocketAddr, count: usize, bytes: &[u8]) -> Vec<Connection> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(address).await.expect("connecting");
        connection.send(bytes).await.expect("sending");
        connections.push(connection);
    }
    connections
}
