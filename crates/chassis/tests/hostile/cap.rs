//! The cap on connections: one address holds all of them, and clients of another address come.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;

use crate::{
    beside::QUOTE,
    harness::{
        eventually, exclusive,
        http::Connection,
        load::{Load, Mode},
        server::Server,
    },
    packet::packet,
    peer::{PARAMS, begin, pairs, record},
    uploads::VARIABLES,
};

const HELD: usize = 128;
/// The next ones are opened when these have arrived: within milliseconds the server's threads may order them anew.
const OLDEST: usize = 32;
const HEALTHY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const HOSTILE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// Long limits, so that it is the cap that closes a connection; no address is trusted.
const SETTINGS: [(&str, &str); 7] = [
    ("APP__SERVER__MAX_CONNECTIONS", "128"),
    ("APP__SERVER__TRUSTED_PEERS", "192.0.2.1/32"),
    ("APP__SERVER__HEADER_TIMEOUT", "60s"),
    ("APP__SERVER__BODY_TIMEOUT", "60s"),
    ("APP__SERVER__REQUEST_TIMEOUT", "60s"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "60s"),
    ("APP__SERVER__MAX_CONNECTION_AGE", "10m"),
];

const HALF_HEAD: &str = "GET /hello HTTP/1.1\r\nhost: te";
const HALF_BODY: &str = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\nx";
const WHOLE: &str = "GET /hello HTTP/1.1\r\nhost: test\r\n\r\n";
const WEBSOCKET: &str = "GET /ws HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// `HELD` connections of one address; each has sent `bytes`, and read an answer of `status` where there is one.
async fn hold(server: &Server, bytes: &str, status: Option<u16>) -> Vec<Connection> {
    hold_at(server, server.app, bytes.as_bytes(), status).await
}

/// The same at one of the server's other doors.
async fn hold_at(server: &Server, door: SocketAddr, bytes: &[u8], status: Option<u16>) -> Vec<Connection> {
    let mut held = Vec::new();
    for _ in 0..HELD {
        let mut connection = Connection::open_from(Some(HOSTILE), door).await.expect("connecting");
        connection.send(bytes).await.expect("sending");
        if let Some(status) = status {
            let answer = match status {
                101 => connection.receive_head().await,
                _ => connection.receive().await,
            };
            assert_eq!(answer.map(|answer| answer.status), Ok(status));
        }
        held.push(connection);
        if held.len().is_multiple_of(OLDEST) {
            let open = f64::from(u32::try_from(held.len()).expect("few connections"));
            server.metric_becomes("http_server_connections", open, Duration::from_secs(10)).await;
        }
    }
    held
}

/// 16 clients of another address, half of which post: all are served, and take no more places than they need.
async fn others_are_served(server: &Server, beside: &str) {
    others_get(server, beside, "/hello", ("/upload", "a body")).await;
}

/// The same of an app that answers `GET read` and `POST post` with `body`.
async fn others_get(server: &Server, beside: &str, read: &str, (post, body): (&str, &str)) {
    let mode = Mode::ThinkTime(Duration::from_millis(5));
    let reading = Load::from(HEALTHY, server.app, 8, mode, read, "");
    let posting = Load::from(HEALTHY, server.app, 8, mode, post, body);
    eventually("healthy clients are answered", Duration::from_mins(1), async || {
        (reading.ok() >= 500 && posting.ok() >= 500).then_some(())
    })
    .await;
    let (reading, posting) = (reading.stop().await, posting.stop().await);
    println!("beside {beside}: GET {reading}; POST {posting}");
    assert_eq!(reading.failed() + posting.failed(), 0, "beside {beside}: GET {reading}; POST {posting}");
    let yielded = server.series("http_server_connections_closed_total", "reason=\"yielded\"").await;
    println!("beside {beside}: {yielded} yielded");
    assert!((16.0..64.0).contains(&yielded), "{yielded} connections yielded for 16");
}

/// How many of `held` were answered with `status`.
async fn answered(held: &mut [Connection], status: u16) -> usize {
    let each = held.iter_mut().map(async |connection| {
        // Those that still hold their places have no answer. All wait at once, so that a busy machine has time.
        let answer = tokio::time::timeout(Duration::from_secs(1), connection.receive()).await;
        matches!(answer, Ok(Ok(answer)) if answer.status == status)
    });
    join_all(each).await.into_iter().filter(|is_answered| *is_answered).count()
}

#[tokio::test]
async fn half_heads_make_room() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &SETTINGS).await;
    let mut held = hold(&server, HALF_HEAD, None).await;
    others_are_served(&server, "half heads").await;
    assert!(answered(&mut held, 408).await >= 16, "no 408 for the heads that made room");
}

#[tokio::test]
async fn half_heads_of_trusted_peers_make_room_oldest_first() {
    let _turn = exclusive().await;
    let mut settings = SETTINGS;
    settings[1].1 = "127.0.0.0/8";
    let server = Server::start_example("streams", &settings).await;
    let mut held = hold(&server, HALF_HEAD, None).await;
    others_are_served(&server, "half heads of trusted peers").await;
    assert!(answered(&mut held[..OLDEST], 408).await >= 15, "others than the oldest made room");
}

#[tokio::test]
async fn stalled_bodies_make_room() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &SETTINGS).await;
    let mut held = hold(&server, HALF_BODY, None).await;
    others_are_served(&server, "stalled bodies").await;
    assert!(answered(&mut held, 408).await >= 16, "no 408 for the uploads that made room");
}

/// At the doors that web servers use; their peers are trusted.
async fn stalled_bodies_make_room_at(door: usize, beside: &str, opening: &[u8]) {
    let _turn = exclusive().await;
    let mut settings = SETTINGS.to_vec();
    settings[1].1 = "127.0.0.3/32";
    settings.push(("APP__SERVER__LISTEN", "http://127.0.0.1:0,fastcgi://127.0.0.1:0,uwsgi://127.0.0.1:0"));
    let server = Server::start(&settings).await;
    let address = server.urls()[door].rsplit('/').next().expect("an authority").parse().expect("an address");
    let mut held = hold_at(&server, address, opening, None).await;
    others_get(&server, beside, "/whoami", ("/v1/quotes", QUOTE)).await;
    let mut ended = 0;
    for connection in &mut held {
        ended += usize::from(connection.ended_within(Duration::from_millis(20)).await.is_some());
    }
    assert!(ended >= 16, "{ended} uploads made room");
}

#[tokio::test]
async fn stalled_bodies_over_fastcgi_make_room() {
    let head = [begin(1, 1, 0), record(PARAMS, 1, &pairs(&VARIABLES), 0), record(PARAMS, 1, b"", 0)].concat();
    stalled_bodies_make_room_at(1, "stalled bodies over FastCGI", &head).await;
}

#[tokio::test]
async fn stalled_bodies_over_uwsgi_make_room() {
    stalled_bodies_make_room_at(2, "stalled bodies over uwsgi", &packet(0, &VARIABLES)).await;
}

#[tokio::test]
async fn idle_connections_of_the_address_with_the_most_make_room() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &SETTINGS).await;
    let _held = hold(&server, WHOLE, Some(200)).await;
    others_are_served(&server, "idle connections").await;
}

#[tokio::test]
async fn idle_websockets_make_room() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &SETTINGS).await;
    let _held = hold(&server, WEBSOCKET, Some(101)).await;
    others_are_served(&server, "idle WebSockets").await;
}

#[tokio::test]
async fn a_silent_websocket_is_pinged_and_then_ended() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &[("APP__SERVER__UPGRADE_IDLE_TIMEOUT", "2s")]).await;
    let mut silent = Connection::open(server.app).await.expect("connecting");
    silent.send(WEBSOCKET.as_bytes()).await.expect("sending");
    assert_eq!(silent.receive_head().await.map(|answer| answer.status), Ok(101));
    assert_eq!(silent.receive_bytes(2).await, Ok(vec![0x89, 0]), "no ping");
    // Pong answers, with a mask as a client has to: it is alive, and pinged again.
    silent.send(&[0x8a, 0x80, 1, 2, 3, 4]).await.expect("answering");
    assert_eq!(silent.receive_bytes(2).await, Ok(vec![0x89, 0]), "no second ping");
    assert!(silent.ended_within(Duration::from_secs(5)).await.is_some(), "a silent WebSocket is still open");
    server.series_becomes("http_server_connections_closed_total", "reason=\"idle_timeout\"", 1.0).await;
}
