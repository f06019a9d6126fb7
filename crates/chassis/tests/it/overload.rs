//! Overload, at the real program: who is answered, who is refused, and what refusals look like. Counts and ratios; the
//! times are `template/scripts/measure-overload`'s.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::harness::{
    eventually, exclusive,
    http::{Connection, Response},
    server::Server,
    shared,
};

const SECOND: Duration = Duration::from_secs(1);

async fn ask(connection: &mut Connection, path: &str, header: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n{header}\r\n");
    connection.send(request.as_bytes()).await.expect("sending");
    connection.receive().await.expect("an answer")
}

/// One request after another, until `end`: how many were 200, and the others.
async fn drive(address: SocketAddr, path: &'static str, header: &'static str, end: Instant) -> (usize, Vec<Response>) {
    let (mut answered, mut others) = (0, Vec::new());
    let mut connection = Connection::open(address).await.expect("connecting");
    while Instant::now() < end {
        let response = ask(&mut connection, path, header).await;
        if response.closes() {
            connection = Connection::open(address).await.expect("connecting");
        }
        if response.status == 200 { answered += 1 } else { others.push(response) }
    }
    (answered, others)
}

/// Two permits of about 20 ms, and 64 clients that give no time: many times what can be done.
#[tokio::test]
async fn under_overload_critical_requests_and_other_routes_are_answered_and_no_probe_fails() {
    let _turn = exclusive().await;
    let server = Server::start_example("places", &[("APP__APP__PERMITS", "2")]).await;
    let end = Instant::now() + 6 * SECOND;
    let normal: Vec<_> = (0..64).map(|_| tokio::spawn(drive(server.app, "/query?ms=20", "", end))).collect();
    // What came before the limit had anything to go by is through.
    eventually("the pool is down to its limit", 3 * SECOND, async || {
        let refused = server.series("overload_shed_total", "pool=\"database\"").await;
        (refused > 0.5 && server.series("overload_in_flight", "pool=\"database\"").await < 24.0).then_some(())
    })
    .await;
    let critical = tokio::spawn(drive(server.app, "/query?ms=20", "x-request-criticality: critical\r\n", end));
    let hello = tokio::spawn(drive(server.app, "/hello", "", end));
    let mut probes = 0;
    while Instant::now() < end {
        assert_eq!(server.probe("/readyz").await, Some(200));
        assert_eq!(server.probe("/livez").await, Some(200));
        assert_eq!(server.get("/healthz").await.status, 200);
        probes += 1;
    }

    let (answered, refused) = critical.await.expect("the critical client");
    println!("critical: {answered} answered, {} not; {probes} rounds of probes", refused.len());
    assert!(answered >= 5 && refused.len() * 2 <= answered, "{answered} answered, {} not", refused.len());
    let (answered, others) = hello.await.expect("the other route's client");
    assert!(answered > 0 && others.is_empty(), "{others:?}");
    let (mut answered, mut refused) = (0, Vec::new());
    for client in normal {
        let (more, others) = client.await.expect("a client");
        answered += more;
        refused.extend(others);
    }
    println!("others: {answered} answered, {} refused", refused.len());
    assert!(refused.len() > 2 * answered && answered > 50, "{answered} answered, {} refused", refused.len());
    for response in &refused {
        assert_eq!(response.status, 503);
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        let seconds: u64 = response.header("retry-after").expect("a Retry-After").parse().expect("seconds");
        assert!((1..=3).contains(&seconds), "{seconds}");
    }
    let told: std::collections::BTreeSet<_> =
        refused.iter().filter_map(|response| response.header("retry-after")).collect();
    assert!(told.len() > 1, "the same for all: {told:?}");
    assert!(server.series("overload_limit", "pool=\"database\"").await < 100.0, "the limit follows");
    assert!(server.series("overload_shed_total", "pool=\"io\"").await < 0.5, "the other pool refuses nobody");
}

/// Whether a critical request finds a place where an ordinary one finds none.
async fn critical_gets_in(settings: &[(&str, &str)]) -> bool {
    let mut all = vec![("APP__OVERLOAD__MAX_IN_FLIGHT", "1"), ("APP__OVERLOAD__QUEUE_LENGTH", "0")];
    all.extend(settings);
    let server = Server::start_example("streams", &all).await;
    let mut first = Connection::open(server.app).await.expect("connecting");
    first.send(b"GET /slow?ms=2500 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    server.metric_becomes("overload_in_flight", 1.0, 2 * SECOND).await;
    let mut second = Connection::open(server.app).await.expect("connecting");
    assert_eq!(ask(&mut second, "/hello", "").await.status, 503);
    match ask(&mut second, "/hello", "x-request-criticality: critical\r\n").await.status {
        200 => true,
        503 => false,
        other => panic!("status {other}"),
    }
}

#[tokio::test]
async fn only_a_trusted_peer_says_what_is_critical() {
    let _turn = shared().await;
    assert!(critical_gets_in(&[]).await);
    assert!(!critical_gets_in(&[("APP__SERVER__TRUSTED_PEERS", "10.0.0.0/8")]).await);
}

/// Whichever of the two comes first: the sheddable one is displaced, or finds the queue full.
#[tokio::test]
async fn a_sheddable_request_makes_room_for_another() {
    let _turn = shared().await;
    let settings = [
        ("APP__OVERLOAD__MAX_IN_FLIGHT", "1"),
        ("APP__OVERLOAD__QUEUE_LENGTH", "1"),
        ("APP__OVERLOAD__QUEUE_TIMEOUT", "1s"),
    ];
    let server = Server::start_example("streams", &settings).await;
    let mut first = Connection::open(server.app).await.expect("connecting");
    first.send(b"GET /slow?ms=700 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    server.metric_becomes("overload_in_flight", 1.0, 2 * SECOND).await;
    let mut sheddable = Connection::open(server.app).await.expect("connecting");
    let mut normal = Connection::open(server.app).await.expect("connecting");
    let (sheddable, normal) = tokio::join!(
        ask(&mut sheddable, "/hello", "x-request-criticality: sheddable\r\n"),
        ask(&mut normal, "/hello", ""),
    );
    assert_eq!((sheddable.status, normal.status), (503, 200));
    let told = |reason: &str| format!("reason=\"{reason}\"");
    let displaced = server.series("overload_shed_total", &told("displaced")).await;
    assert!((displaced + server.series("overload_shed_total", &told("queue_full")).await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_deadline_that_the_quickest_would_miss_is_refused_at_once() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    eventually("a refusal for the deadline", 10 * SECOND, async || {
        let address = server.app;
        let batch = (0..12).map(|_| async move {
            let mut connection = Connection::open(address).await.expect("connecting");
            ask(&mut connection, "/slow?ms=200", "").await.status
        });
        let answers = batch.collect::<tokio::task::JoinSet<_>>().join_all().await;
        assert_eq!(answers, [200; 12]);
        let mut connection = Connection::open(server.app).await.expect("connecting");
        // It would be in time; those of its route were not.
        let response = ask(&mut connection, "/slow?ms=1", "x-request-timeout: 100\r\n").await;
        let counted = server.series("overload_shed_total", "reason=\"deadline\"").await;
        (response.status == 504 && counted > 0.5).then_some(())
    })
    .await;
}
