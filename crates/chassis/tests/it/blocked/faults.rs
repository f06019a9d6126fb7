//! Faults on purpose: only where they are allowed, only where they aim, and only for a while.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::put;
use crate::harness::{
    eventually,
    http::{self, Failure},
    server::Server,
    shared,
};

const MUTABLE: [(&str, &str); 1] = [("APP__ADMIN__MUTABLE", "true")];
const SECOND: Duration = Duration::from_secs(1);

async fn set(server: &Server, plan: &str) {
    let response = put(server.admin, "/faults", plan).await;
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn faults_are_refused_where_the_admin_listener_is_not_mutable() {
    let _turn = shared().await;
    let server = Server::start(&[]).await;
    let plan = r#"{"rules": [{"status": 500, "expires_in": "1m"}]}"#;
    let refused = put(server.admin, "/faults", plan).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("not_mutable"), "{}", refused.text());
    assert_eq!(put(server.admin, "/log-filter", "debug").await.status, 403);
    assert_eq!(server.get("/whoami").await.status, 200);
    assert_eq!(server.get("/faults").await.status, 404, "an admin route on the public port");
}

#[tokio::test]
async fn a_wrong_plan_is_refused_and_names_its_fault() {
    let _turn = shared().await;
    let server = Server::start(&MUTABLE).await;
    for (plan, name) in [
        (r#"{"rules": [{"status": 200, "expires_in": "1m"}]}"#, "rules[0].status"),
        (r#"{"rules": [{"ratio": 1.5, "expires_in": "1m"}]}"#, "rules[0].ratio"),
        (r#"{"rules": [{"status": 500, "expires_in": "2h"}]}"#, "rules[0].expires_in"),
        (r#"{"rules": [{"status": 500}]}"#, "expires_in"),
        (r#"{"rulez": []}"#, "rulez"),
    ] {
        let refused = put(server.admin, "/faults", plan).await;
        assert_eq!(refused.status, 400, "{plan}");
        assert!(refused.text().contains(name), "{}", refused.text());
    }
    assert_eq!(server.get("/whoami").await.status, 200);
}

#[tokio::test]
async fn a_status_strikes_its_route_alone_until_it_expires() {
    let _turn = shared().await;
    let server = Server::start(&MUTABLE).await;
    let begun = Instant::now();
    set(&server, r#"{"rules": [{"route": "/whoami", "status": 503, "expires_in": "2s"}]}"#).await;
    let struck = server.get("/whoami").await;
    assert_eq!(struck.status, 503);
    assert_eq!(struck.header("content-type"), Some("application/problem+json"));
    assert_eq!(server.get("/v1/rates").await.status, 200);
    let expired = async || (server.get("/whoami").await.status == 200).then_some(());
    eventually("the rule expires", 4 * SECOND, expired).await;
    assert!(begun.elapsed() >= 2 * SECOND, "expired after {:?}", begun.elapsed());
}

#[tokio::test]
async fn latency_comes_before_the_answer() {
    let _turn = shared().await;
    let server = Server::start(&MUTABLE).await;
    set(&server, r#"{"rules": [{"route": "/whoami", "latency": "700ms", "expires_in": "1m"}]}"#).await;
    let asked = Instant::now();
    assert_eq!(server.get("/whoami").await.status, 200);
    assert!(asked.elapsed() >= Duration::from_millis(700), "{:?}", asked.elapsed());
    // Past the request's own 3 s it is a 504, as a slow handler is.
    set(&server, r#"{"rules": [{"route": "/whoami", "latency": "10s", "expires_in": "1m"}]}"#).await;
    assert_eq!(server.get("/whoami").await.status, 504);
    set(&server, "{}").await;
    assert_eq!(server.get("/whoami").await.status, 200);
}

#[tokio::test]
async fn an_abort_breaks_the_connection_instead_of_answering() {
    let _turn = shared().await;
    let server = Server::start(&MUTABLE).await;
    set(&server, r#"{"rules": [{"route": "/whoami", "abort": true, "expires_in": "1m"}]}"#).await;
    let answer = http::get(server.app, "/whoami").await.map(|response| response.status);
    assert!(matches!(answer, Err(Failure::EofBeforeResponse | Failure::Reset)), "{answer:?}");
    // The peer sees the close an instant before it is counted.
    let counted = async || {
        (server.series("http_server_connections_closed_total", "reason=\"aborted\"").await > 0.5).then_some(())
    };
    eventually("the abort is counted", SECOND, counted).await;
    assert_eq!(server.get("/v1/rates").await.status, 200);
}

/// 400 draws at 0.25: 100, with a deviation of 8.7; 55 to 145 is five of them.
#[tokio::test]
async fn a_ratio_strikes_its_share() {
    let _turn = shared().await;
    let server = Server::start(&MUTABLE).await;
    set(&server, r#"{"rules": [{"ratio": 0.25, "status": 500, "expires_in": "1m"}]}"#).await;
    let mut connection = http::Connection::open(server.app).await.unwrap();
    let mut struck = 0;
    for _ in 0..400 {
        match connection.get("/whoami").await.unwrap().status {
            200 => {}
            500 => struck += 1,
            other => panic!("{other}"),
        }
    }
    assert!((55..=145).contains(&struck), "{struck} of 400");
    // Probes tell the truth in drills too.
    for _ in 0..50 {
        assert_eq!(connection.get("/healthz").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_drill_makes_the_replica_unready_for_a_while() {
    let _turn = shared().await;
    let server = Server::start(&MUTABLE).await;
    let begun = Instant::now();
    set(&server, r#"{"unready_for": "1s"}"#).await;
    assert_eq!(server.probe("/readyz").await, Some(503));
    assert_eq!(server.get("/healthz").await.status, 503);
    assert_eq!(server.probe("/livez").await, Some(200));
    assert!(server.admin("/readyz").await.text().contains("[-]drill failed"));
    // Unready is no refusal.
    assert_eq!(server.get("/whoami").await.status, 200);
    let ready = async || (server.probe("/readyz").await == Some(200)).then_some(());
    eventually("the drill ends", 2 * SECOND, ready).await;
    assert!(begun.elapsed() >= SECOND, "ended after {:?}", begun.elapsed());
    let plan: Value = serde_json::from_slice(&server.admin("/faults").await.body).unwrap();
    assert!(plan["rules"].as_array().is_some_and(Vec::is_empty), "{plan}");
}

#[tokio::test]
async fn drills_of_the_start_keep_it_unready_and_fail_its_liveness() {
    let _turn = shared().await;
    let settings = [("APP__FAULTS__UNREADY_FOR", "2s"), ("APP__FAULTS__FAIL_LIVENESS_AFTER", "4s")];
    let begun = Instant::now();
    let server = Server::start_unready(&settings).await;
    assert_eq!(server.probe("/readyz").await, Some(503));
    assert_eq!(server.probe("/livez").await, Some(200));
    let ready = async || (server.probe("/readyz").await == Some(200)).then_some(());
    eventually("ready", 4 * SECOND, ready).await;
    // The drill counts from a moment after the process's start.
    assert!(begun.elapsed() >= 2 * SECOND, "ready after {:?}", begun.elapsed());
    assert_eq!(server.probe("/livez").await, Some(200));
    let dead = async || (server.probe("/livez").await == Some(503)).then_some(());
    eventually("dead", 4 * SECOND, dead).await;
    assert!(begun.elapsed() >= 4 * SECOND, "dead after {:?}", begun.elapsed());
    assert_eq!(server.get("/whoami").await.status, 200);
}
