//! Connections end by age and by number of requests, so that new replicas get their share; no request is lost by it.

use std::time::{Duration, Instant};

use tokio::{task::JoinSet, time::interval};

use crate::harness::{
    exclusive,
    http::{Connection, peer_closed},
    load::{Load, Mode},
    server::Server,
    shared,
};

#[tokio::test]
async fn exactly_the_hundredth_response_says_close() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "100")]).await;
    let mut client = Connection::open(server.app).await.expect("connecting");
    for number in 1..=100 {
        let response = client.get("/whoami").await.unwrap_or_else(|failure| panic!("request {number}: {failure:?}"));
        assert_eq!(response.closes(), number == 100, "response {number}: {:?}", response.headers);
    }
    assert!(client.ended_within(Duration::from_secs(1)).await.is_some(), "still open after the last response");

    let load = Load::start(server.app, 8, Mode::KeepAlive, "/whoami");
    server_answers(&load, 2_000).await;
    let outcomes = load.stop().await;
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
}

async fn server_answers(load: &Load, requests: u64) {
    let enough = async || (load.ok() >= requests).then_some(());
    crate::harness::eventually("enough requests", Duration::from_secs(30), enough).await;
}

const AGE: Duration = Duration::from_secs(4);

/// An age of 4 s gives closes between 3.6 and 4.4 s.
#[tokio::test]
async fn two_hundred_connections_of_one_age_close_spread_out() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTION_AGE", "4s")]).await;
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let mut client = Connection::open(server.app).await.expect("connecting");
        clients.spawn(async move {
            let opened = Instant::now();
            let mut ticks = interval(Duration::from_millis(50));
            while !client.get("/whoami").await.expect("no request is lost").closes() {
                ticks.tick().await;
            }
            opened.elapsed()
        });
    }
    let ages = clients.join_all().await;
    let (youngest, oldest) = (ages.iter().min().expect("200 ages"), ages.iter().max().expect("200 ages"));
    println!("200 connections of age {AGE:?} closed between {youngest:?} and {oldest:?}");
    assert!(oldest.saturating_sub(*youngest) >= AGE * 15 / 100, "closed between {youngest:?} and {oldest:?}");
    assert!(*youngest >= AGE * 85 / 100 && *oldest <= AGE * 120 / 100, "closed between {youngest:?} and {oldest:?}");
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
