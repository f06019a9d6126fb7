use std::sync::{Arc, Mutex};

use axum::{body::Bytes, extract::State, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode};
use nix::sys::signal::Signal;
use serde_json::json;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::Notify};

use crate::harness::{Recipe, Redis, eventually};

const KEY: &str = "a key of at least 24 bytes";

/// A receiver that answers what it is told to.
#[derive(Default)]
struct Receiver {
    /// The statuses to answer with, first to last; then 200.
    answers: Mutex<Vec<StatusCode>>,
    /// Ids and bodies of what came with a good signature.
    got: Mutex<Vec<(String, String)>>,
    /// Where set, the next delivery is not answered, and this is told.
    hang: Mutex<Option<Arc<Notify>>>,
}

impl Receiver {
    async fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = axum::Router::new().route("/", post(receive)).with_state(Arc::clone(self));
        tokio::spawn(async { axum::serve(listener, app).await });
        url
    }

    fn got(&self) -> Vec<(String, String)> {
        self.got.lock().expect("what came").clone()
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any length");
    mac.update(format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    if header("webhook-signature") != format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())) {
        return StatusCode::UNAUTHORIZED;
    }
    receiver.got.lock().expect("what came").push((header("webhook-id"), body));
    let hang = receiver.hang.lock().expect("whether to hang").take();
    if let Some(told) = hang {
        told.notify_one();
        std::future::pending::<()>().await;
    }
    let mut answers = receiver.answers.lock().expect("the answers");
    if answers.is_empty() { StatusCode::OK } else { answers.remove(0) }
}

async fn start(redis: &Redis, target: &str, tries: &str) -> Recipe {
    let url = redis.url();
    let settings = [
        ("APP__APP__REDIS_URL", url.as_str()),
        ("APP__APP__TARGET_URL", target),
        ("APP__APP__SIGNING_KEY", KEY),
        ("APP__APP__FIRST_PAUSE", "10ms"),
        ("APP__APP__TIMEOUT", "1s"),
        ("APP__APP__TRIES", tries),
    ];
    Recipe::start("webhook", &settings).await
}

async fn order(recipe: &Recipe, n: u32) {
    let answer = recipe.post("/v1/orders").json(&json!({"order": n})).send().await.expect("an answer");
    assert_eq!(answer.status(), 202);
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_with_its_id_and_a_hopeless_one_is_put_aside() {
    let (redis, receiver) = (Redis::start().await, Arc::new(Receiver::default()));
    *receiver.answers.lock().expect("the answers") = vec![StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY];
    let recipe = start(&redis, &receiver.start().await, "3").await;
    order(&recipe, 1).await;
    recipe.metric_becomes("webhook_deliveries_total{outcome=\"delivered\"} 1").await;
    recipe.metric_becomes("webhook_deliveries_total{outcome=\"failed\"} 2").await;
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|delivery| *delivery == got[0]), "{got:?}");

    *receiver.answers.lock().expect("the answers") = vec![StatusCode::INTERNAL_SERVER_ERROR; 3];
    order(&recipe, 2).await;
    recipe.metric_becomes("webhook_deliveries_total{outcome=\"dead\"} 1").await;
    assert_eq!(receiver.got().len(), 6);
}

#[tokio::test]
async fn an_event_survives_the_replica_that_was_delivering_it() {
    let (redis, receiver, told) = (Redis::start().await, Arc::new(Receiver::default()), Arc::new(Notify::new()));
    *receiver.hang.lock().expect("whether to hang") = Some(Arc::clone(&told));
    let target = receiver.start().await;
    let mut first = start(&redis, &target, "9").await;
    order(&first, 1).await;
    told.notified().await;
    first.signal(Signal::SIGKILL);
    first.ended().await;

    let second = start(&redis, &target, "9").await;
    second.metric_becomes("webhook_deliveries_total{outcome=\"delivered\"} 1").await;
    let got = receiver.got();
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got[0], got[1]);
}

#[tokio::test]
async fn a_drain_ends_while_events_wait_and_they_are_delivered_by_the_next() {
    let (redis, receiver) = (Redis::start().await, Arc::new(Receiver::default()));
    let target = receiver.start().await;
    let mut first = start(&redis, &target, "9").await;
    for n in 0..50 {
        order(&first, n).await;
    }
    first.signal(Signal::SIGTERM);
    assert_eq!(first.ended().await, Some(0));
    let _second = start(&redis, &target, "9").await;
    let mut bodies =
        eventually("all are delivered", async || (receiver.got().len() >= 50).then(|| receiver.got())).await;
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 50);
}
