//! Connections that are past their age: told so at different times, and none with a request lost.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Barrier, task::JoinSet};

use crate::harness::{at, eventually, http::Connection, server::Server, shared};

const AGE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn connections_of_one_age_close_over_a_spread_of_it_and_lose_nothing() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTION_AGE", "2s")]).await;
    let together = std::sync::Arc::new(Barrier::new(200));
    let mut clients = JoinSet::new();
    for number in 0..200 {
        clients.spawn(until_told_to_close(server.app, std::sync::Arc::clone(&together), number));
    }
    let mut ages = clients.join_all().await;
    ages.sort();
    let (first, last) = (ages[0], ages[199]);
    println!("200 connections of {AGE:?} closed between {first:?} and {last:?}");
    assert!(first >= AGE.mul_f32(0.88), "too early: {first:?}");
    assert!(last <= AGE.mul_f32(1.25), "too late: {last:?}");
    assert!(last - first >= AGE.mul_f32(0.15), "all at once: {first:?} to {last:?}");
}

/// Asks every 100 ms; the age at which a response said close. Panics where any request is lost.
async fn until_told_to_close(
    address: std::net::SocketAddr,
    together: std::sync::Arc<Barrier>,
    number: u32,
) -> Duration {
    const PAUSE: Duration = Duration::from_millis(100);
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
    let age = begun.elapsed();
    assert!(connection.ended_within(Duration::from_secs(1)).await.is_some(), "still open after it said close");
    age
}

#[tokio::test]
async fn an_http2_connection_gets_goaway_at_its_age_and_finishes_its_requests() {
    let _turn = shared().await;
    let settings = [("APP__SERVER__MAX_CONNECTION_AGE", "1s"), ("APP__SERVER__REQUEST_TIMEOUT", "4s")];
    let server = Server::start_example("streams", &settings).await;
    let begun = Instant::now();
    let stream = TcpStream::connect(server.app).await.expect("connecting");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("the handshake");
    let driver = tokio::spawn(connection);
    let request = |path: &str| {
        hyper::Request::get(format!("http://{}{path}", server.app)).body(Empty::<Bytes>::new()).expect("a request")
    };
    let slow = sender.send_request(request("/slow?ms=3000"));
    let quick = sender.send_request(request("/hello")).await.expect("a response");
    assert_eq!(quick.status(), 200);

    // After GOAWAY the client takes no new request.
    eventually("GOAWAY", 2 * AGE, async || sender.is_closed().then_some(())).await;
    let told = begun.elapsed();
    assert!((0.9..1.6).contains(&told.as_secs_f32()), "GOAWAY after {told:?}");

    let response = slow.await.expect("the response in flight");
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.expect("its body").to_bytes(), "slow\n");
    driver.await.expect("a driver").expect("a clean end");
    super::closes(&server, "age", 1.0).await;
}
