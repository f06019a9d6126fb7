//! Events to a receiver that fails at first.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::{Router, extract::State, routing::post};
use chassis::jobs::Options;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    fleet::{BOUND, Fleet},
    harness::{eventually, shared},
};

#[derive(Clone, Default)]
struct Receiver {
    calls: Arc<AtomicUsize>,
    events: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

/// 503 twice, then 204.
async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    receiver.events.lock().expect("the events").push((headers, body));
    let is_up = receiver.calls.fetch_add(1, Relaxed) >= 2;
    if is_up { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[tokio::test]
async fn an_event_arrives_with_its_key_and_signature_after_its_receiver_failed() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let receiver = Receiver::default();
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let app = Router::new().route("/events", post(receive)).with_state(receiver.clone());
    let server = tokio::spawn(async move { axum::serve(socket, app).await });
    let _replica = fleet.replica(&[("APP__APP__RECEIVER", &url)]).await;
    let body = json!({ "type": "link.created", "id": 7 });
    let added = fleet.jobs.enqueue(&fleet.database, "event", &body, Options::key("link-7")).await;
    added.expect("an event");
    fleet.job_becomes("event", "done").await;
    let three = async || (receiver.events.lock().expect("the events").len() == 3).then_some(());
    eventually("three calls", BOUND, three).await;
    for (headers, text) in &*receiver.events.lock().expect("the events") {
        assert_eq!(*text, body.to_string());
        assert_eq!(
            (&headers["idempotency-key"], &headers["webhook-id"]),
            (&"link-7".parse().unwrap(), &"link-7".parse().unwrap())
        );
        assert!(headers["webhook-signature"].to_str().expect("text").starts_with("v1,"));
        assert!(headers["content-type"] == "application/json" && headers.contains_key("x-request-timeout"));
    }
    server.abort();
}
