//! The drain loses nothing.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{
    at, eventually, exclusive,
    http::{self, Connection},
    load::{Load, Mode},
    server::Server,
    shared,
};

const DELAY: Duration = Duration::from_secs(1);

#[tokio::test]
async fn busy_keep_alive_clients_lose_nothing_over_twenty_drains() {
    let _turn = exclusive().await;
    let mut requests = 0;
    for _ in 0..20 {
        requests += drain_under_load(Mode::KeepAlive).await;
    }
    println!("20 drains under 64 keep-alive clients: {requests} requests, none lost");
}

#[tokio::test]
async fn clients_that_think_longer_than_the_delay_lose_nothing() {
    let _turn = exclusive().await;
    drain_under_load(Mode::ThinkTime(DELAY * 3 / 2)).await;
}

/// One drain, with 64 clients and a balancer that takes the replica out after 80 % of the delay.
async fn drain_under_load(mode: Mode) -> u64 {
    let mut server = Server::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "1s")]).await;
    let load = Load::start(server.app, 64, mode, "/whoami");
    eventually("every client has an answer", Duration::from_secs(10), async || (load.ok() >= 64).then_some(())).await;

    let signalled = Instant::now();
    server.signal(Signal::SIGTERM);
    at(signalled + Duration::from_millis(100)).await;
    assert_eq!(server.probe("/readyz").await, Some(503));
    assert_eq!(server.get("/healthz").await.status, 503);
    assert_eq!(server.probe("/livez").await, Some(200));
    at(signalled + DELAY / 2).await;
    assert_eq!(server.get("/whoami").await.status, 200, "a new connection half-way through the delay");
    at(signalled + DELAY * 4 / 5).await;
    load.take_out();

    assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
    assert!(signalled.elapsed() >= DELAY, "the delay was cut short: {:?}", signalled.elapsed());
    let outcomes = load.stop().await;
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    outcomes.ok
}

#[tokio::test]
async fn livez_says_200_until_the_exit() {
    let _turn = shared().await;
    let mut server = Server::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "300ms")]).await;
    let address = server.app;
    let request = tokio::spawn(async move { http::get(address, "/v1/work?sleep_ms=1000").await });
    server.metric_becomes("http_server_active_requests", 1.0, Duration::from_secs(5)).await;
    server.signal(Signal::SIGTERM);

    let mut last = Instant::now();
    while let Some(status) = server.probe("/livez").await {
        assert_eq!(status, 200);
        last = Instant::now();
    }
    assert_eq!(server.wait_exit(Duration::from_secs(5)).await, 0);
    assert!(last.elapsed() < Duration::from_millis(500), "no /livez for the last {:?}", last.elapsed());
    assert_eq!(request.await.unwrap().expect("an answer").status, 200);
}

/// The worst moment for a request: it lies in the socket of an idle connection when the connection's end is decided.
#[tokio::test]
async fn a_request_already_in_the_socket_is_answered_over_a_hundred_drains() {
    let _turn = exclusive().await;
    for round in 0..100 {
        let mut server = Server::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "0s")]).await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = Connection::open(server.app).await.expect("connecting");
            assert_eq!(client.get("/whoami").await.expect("a first answer").status, 200);
            clients.push(client);
        }
        server.signal(Signal::SIGSTOP);
        for client in &mut clients {
            client.send(b"GET /whoami HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
        }
        server.signal(Signal::SIGTERM);
        server.signal(Signal::SIGCONT);
        for client in &mut clients {
            let answer = client.receive().await;
            assert_eq!(answer.map(|response| response.status), Ok(200), "round {round}");
        }
        assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0);
    }
}

#[tokio::test]
async fn an_event_stream_ends_within_the_drain() {
    let _turn = shared().await;
    let mut server = Server::start_example("streams", &[]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    client.send(b"GET /sse HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    let head = client.receive_head().await.expect("a head");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));

    server.signal(Signal::SIGTERM);
    // 0.5 s of delay, and far less than the 5 s of drain_timeout: it learns of the drain rather than being cut.
    assert!(client.ended_within(Duration::from_secs(3)).await.is_some(), "the stream goes on; {}", server.log());
    assert_eq!(server.wait_exit(Duration::from_secs(2)).await, 0, "{}", server.log());
}

#[tokio::test]
async fn an_upgraded_connection_ends_within_the_drain() {
    let _turn = shared().await;
    let mut server = Server::start_example("streams", &[]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    let request = b"GET /ws HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.send(request).await.expect("sending");
    assert_eq!(client.receive_head().await.expect("a head").status, 101);

    server.signal(Signal::SIGTERM);
    wait_for_close_frame(&mut client).await;
    // A close frame with no payload, masked with zeroes, as a client must (RFC 6455, 5.5.1).
    // The server may have gone without waiting for it.
    let _ = client.send(&[0x88, 0x80, 0, 0, 0, 0]).await;
    assert!(client.ended_within(Duration::from_secs(3)).await.is_some(), "still open; {}", server.log());
    assert_eq!(server.wait_exit(Duration::from_secs(3)).await, 0, "{}", server.log());
}

/// Skips unfragmented frames of up to 125 bytes until one with the close opcode.
async fn wait_for_close_frame(client: &mut Connection) {
    loop {
        let head = client.receive_bytes(2).await.expect("a frame");
        client.receive_bytes(usize::from(head[1] & 0x7f)).await.expect("its payload");
        if head[0] & 0x0f == 8 {
            return;
        }
    }
}
