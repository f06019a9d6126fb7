//! Connections that are past their age: told so at different times, and none with a request lost.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Barrier, task::JoinSet};

use super::frames;
use crate::harness::{
    at,
    http::{Connection, peer_closed},
    server::Server,
    shared,
};

const AGE: Duration = Duration::from_secs(4);

#[tokio::test]
async fn connections_of_one_age_close_over_a_spread_of_it_and_lose_nothing() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTION_AGE", "4s")]).await;
    let together = Arc::new(Barrier::new(200));
    let mut clients = JoinSet::new();
    for number in 0..200 {
        clients.spawn(until_told_to_close(server.app, Arc::clone(&together), number));
    }
    let told = clients.join_all().await;
    // An age begins when the server accepts: after the client began to connect, before all 200 were connected.
    let first = told.iter().map(|(since_opening, _)| *since_opening).min().expect("200 connections");
    let last = told.iter().map(|(_, since_all_were_open)| *since_all_were_open).max().expect("200 connections");
    println!("200 connections of {AGE:?} closed between {first:?} and {last:?}");
    assert!(first >= AGE.mul_f32(0.88), "too early: {first:?}");
    assert!(last <= AGE.mul_f32(1.25), "too late: {last:?}");
    assert!(last.saturating_sub(first) >= AGE.mul_f32(0.15), "all at once: {first:?} to {last:?}");
}

/// Asks every 100 ms until a response says close; how long after this client began to connect, and after all were
/// connected. Panics where any request is lost.
async fn until_told_to_close(address: SocketAddr, together: Arc<Barrier>, number: u32) -> (Duration, Duration) {
    const PAUSE: Duration = Duration::from_millis(100);
    let opening = Instant::now();
    let mut connection = Connection::open(address).await.expect("connecting");
    together.wait().await;
    let begun = Instant::now();
    // Not in step with the others, as the steps would show in the spread.
    let offset = PAUSE / 200 * number;
    for round in 0.. {
        at(begun + offset + PAUSE * round).await;
        let response = connection.get("/whoami").await.expect("a response");
        assert_eq!(response.status, 200);
        if response.closes() {
            break;
        }
    }
    let told = (opening.elapsed(), begun.elapsed());
    assert!(connection.ended_within(Duration::from_secs(1)).await.is_some(), "still open after it said close");
    told
}

#[tokio::test]
async fn an_http2_connection_gets_goaway_at_its_age_and_finishes_its_requests() {
    let _turn = shared().await;
    let settings = [("APP__SERVER__MAX_CONNECTION_AGE", "1s"), ("APP__SERVER__REQUEST_TIMEOUT", "4s")];
    let server = Server::start_example("streams", &settings).await;
    let begun = Instant::now();
    let mut connection = frames::open(server.app, &[]).await;
    frames::send_get(&mut connection, "/slow?ms=2500").await;

    assert_eq!(frames::next_of(&mut connection, frames::GOAWAY).await.flags, 0);
    let told = begun.elapsed();
    // 0.9 to 1.1 of the age, and a margin for a busy machine.
    assert!((0.88..1.5).contains(&told.as_secs_f32()), "GOAWAY after {told:?}");

    let head = frames::next_of(&mut connection, frames::HEADERS).await;
    assert_eq!((head.stream, head.is_ok()), (1, true));
    let body = frames::next_of(&mut connection, frames::DATA).await;
    assert_eq!(body.payload, b"slow\n");
    assert!(connection.ended_within(Duration::from_secs(2)).await.is_some(), "open with nothing left to do");
    super::closes(&server, "age", 1.0).await;
}

/// The peer may be sending at any moment, so age waits for a response to say it on.
#[tokio::test]
async fn an_idle_connection_is_not_closed_for_its_age() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTION_AGE", "500ms")]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    assert_eq!(client.get("/whoami").await.expect("a first answer").status, 200);
    let closed = tokio::time::timeout(Duration::from_secs(2), peer_closed(&client)).await;
    assert!(closed.is_err(), "closed while idle");
    let response = client.get("/whoami").await.expect("an answer past the age");
    assert!(response.closes(), "{:?}", response.headers);
}
