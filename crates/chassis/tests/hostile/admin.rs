//! The admin listener: peers hold it, and the probes are answered.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    beside::{Healthy, held, size},
    harness::{
        at, eventually, exclusive,
        http::{self, Connection},
        server::Server,
    },
};

const PUT: &[u8] = b"PUT /log-filter HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nin";
const POST: &[u8] = b"POST /livez HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nin";
const HALF_HEAD: &[u8] = b"GET /livez HTTP/1.1\r\nhost: 127";
/// 1 s: a kubelet waits as long. 3 s for an unoptimized build beside its own attackers.
const PROBE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 });
const SECOND: Duration = Duration::from_secs(1);

/// Asks `/livez` and `/readyz` in turn, 20 times a second, each within [`PROBE`].
struct Prober {
    stop: watch::Sender<bool>,
    task: JoinHandle<(usize, Duration)>,
    count: watch::Receiver<usize>,
}

impl Prober {
    fn start(admin: SocketAddr) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (counter, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            let mut asked = 0;
            while !*stopped.borrow() {
                let begun = Instant::now();
                let path = if asked % 2 == 0 { "/livez" } else { "/readyz" };
                let answer = tokio::time::timeout(PROBE, http::get(admin, path)).await;
                let status = answer.map(|answer| answer.map(|answer| answer.status));
                assert!(matches!(status, Ok(Ok(200))), "{path}, probe {asked}: {status:?}");
                slowest = slowest.max(begun.elapsed());
                asked += 1;
                counter.send_replace(asked);
                at(begun + Duration::from_millis(50)).await;
            }
            (asked, slowest)
        });
        Self { stop, task, count }
    }

    /// Waits for `more` answers.
    async fn answered(&mut self, more: usize) {
        let aim = *self.count.borrow() + more;
        self.count.wait_for(|count| *count >= aim).await.expect("a probe failed");
    }

    async fn none_failed(self, beside: &str) {
        self.stop.send_replace(true);
        let (asked, slowest) = self.task.await.expect("a probe failed");
        println!("beside {beside}: {asked} probes, the slowest took {slowest:?}");
    }
}

/// All of `connections` are ended within `bound` from `begun`.
async fn all_end(connections: &mut [Connection], begun: Instant, bound: Duration) {
    for (at, connection) in connections.iter_mut().enumerate() {
        let left = (begun + bound).saturating_duration_since(Instant::now()).max(Duration::from_millis(5));
        assert!(connection.ended_within(left).await.is_some(), "connection {at} is open after {bound:?}");
    }
    println!("all ended within {:?}", begun.elapsed());
}

async fn probes_are_answered_beside(bytes: &[u8], settings: &[(&str, &str)], limit: Duration, what: &str) {
    let _turn = exclusive().await;
    let server = Server::start(settings).await;
    let healthy = Healthy::start(server.app);
    let mut prober = Prober::start(server.admin);
    prober.answered(5).await;
    for count in [300, size(300, 1000)] {
        let begun = Instant::now();
        let mut holders = held(server.admin, count, bytes).await;
        prober.answered(20).await;
        // A second of room beyond the limit and a second: an exclusive machine has other work too.
        all_end(&mut holders, begun, limit + 2 * SECOND).await;
    }
    healthy.answered(200).await;
    prober.none_failed(what).await;
    healthy.none_failed(what).await;
}

#[tokio::test]
async fn held_puts_keep_no_probe_waiting() {
    probes_are_answered_beside(PUT, &[("APP__ADMIN__MUTABLE", "true")], 5 * SECOND, "held PUTs").await;
}

#[tokio::test]
async fn puts_that_are_refused_keep_no_probe_waiting() {
    probes_are_answered_beside(PUT, &[], 2 * SECOND, "held PUTs that are refused").await;
}

#[tokio::test]
async fn bodies_that_no_route_wants_keep_no_probe_waiting() {
    probes_are_answered_beside(POST, &[], 2 * SECOND, "held POSTs").await;
}

#[tokio::test]
async fn half_heads_keep_no_probe_waiting() {
    probes_are_answered_beside(HALF_HEAD, &[], 2 * SECOND, "half heads").await;
}

#[tokio::test]
async fn readers_that_never_read_keep_no_probe_waiting() {
    let pipelined = b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(200);
    probes_are_answered_beside(&pipelined, &[], 5 * SECOND, "readers that never read").await;
}

#[tokio::test]
async fn a_dripping_put_ends_at_its_total() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__ADMIN__MUTABLE", "true"), ("APP__ADMIN__REQUEST_TIMEOUT", "2s")]).await;
    let mut drip = Connection::open(server.admin).await.expect("connecting");
    drip.send(PUT).await.expect("sending");
    let begun = Instant::now();
    for step in 1..20 {
        at(begun + step * Duration::from_millis(100)).await;
        let _ = drip.send(b"x").await;
    }
    assert_eq!(drip.receive().await.map(|answer| answer.status), Ok(408));
    assert!(begun.elapsed() < 4 * SECOND, "took {:?}", begun.elapsed());
}

async fn put(server: &Server, fields: &str, body: &str) -> (u16, String) {
    let mut connection = Connection::open(server.admin).await.expect("connecting");
    let length = body.len();
    let request = format!("PUT /log-filter HTTP/1.1\r\n{fields}content-length: {length}\r\n\r\n{body}");
    connection.send(request.as_bytes()).await.expect("sending");
    let answer = connection.receive().await.expect("an answer");
    (answer.status, answer.text())
}

#[tokio::test]
async fn no_page_in_a_browser_may_change_a_replica() {
    let _turn = exclusive().await;
    let server =
        Server::start(&[("APP__ADMIN__MUTABLE", "true"), ("APP__ADMIN__HOSTS", "replica.example,other")]).await;
    for fields in [
        "host: 10.0.0.7:8081\r\n",
        "host: 127.0.0.1\r\n",
        "host: [::1]:8081\r\n",
        "host: localhost:8081\r\n",
        "host: Replica.Example:8081\r\n",
    ] {
        assert_eq!(put(&server, fields, "info").await.0, 200, "{fields}");
    }
    for (fields, status, code) in [
        ("host: rebound.example:8081\r\n", 421, "wrong_host"),
        ("host: 127.0.0.1.example\r\n", 421, "wrong_host"),
        ("host: 127.0.0.1\r\norigin: http://127.0.0.1\r\n", 403, "from_browser"),
        ("host: 127.0.0.1\r\nsec-fetch-site: same-origin\r\n", 403, "from_browser"),
    ] {
        let (answer, body) = put(&server, fields, "debug").await;
        assert!(answer == status && body.contains(code), "{fields}: {answer} {body}");
    }
    assert_eq!(server.admin("/log-filter").await.text(), "info");
}

#[tokio::test]
async fn changes_are_bounded_in_number_and_in_bytes() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__ADMIN__MUTABLE", "true")]).await;
    let host = "host: 127.0.0.1\r\n";
    let directives = vec!["a=info"; 65].join(",");
    assert_eq!(put(&server, host, &directives).await.0, 400);
    let large = "a".repeat(70_000);
    assert_eq!(put(&server, host, &large).await.0, 413);
    eventually("the listener answers on", 5 * SECOND, async || {
        (server.probe("/livez").await == Some(200)).then_some(())
    })
    .await;
}
