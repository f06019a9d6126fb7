//! A receiver is told of new links, and of none that was not made.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, extract::State, routing::post};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    postgres::Postgres,
    service::{keyed, start},
};

type Events = Arc<Mutex<Vec<(HeaderMap, String)>>>;

async fn receive(State(events): State<Events>, headers: HeaderMap, body: String) {
    events.lock().expect("the events").push((headers, body));
}

#[tokio::test]
async fn a_new_link_is_an_event_and_a_refused_one_is_none() {
    let postgres = Postgres::shared();
    let events = Events::default();
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    let app = Router::new().route("/events", post(receive)).with_state(Arc::clone(&events));
    let receiver = tokio::spawn(async move { axum::serve(socket, app).await });
    let more = [("APP__APP__WEBHOOK_URL", url.as_str()), ("APP__APP__WEBHOOK_SECRET", "a-key-of-the-tests")];
    let (service, _name) = start(&postgres, &more).await;
    let refused = keyed(service.post("/v1/links")).json(&json!({ "url": "no url" })).await;
    assert_eq!(refused.status, 422);
    let made: Value = keyed(service.post("/v1/links")).json(&json!({ "url": "http://a.example" })).await.json();
    let deadline = Instant::now() + Duration::from_secs(30);
    while events.lock().expect("the events").is_empty() {
        assert!(Instant::now() < deadline, "no event:\n{}", service.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = events.lock().expect("the events").clone();
    let event: Value = serde_json::from_str(&told[0].1).expect("JSON");
    assert_eq!(event, json!({ "type": "link.created", "data": made }));
    assert_eq!(told[0].0["webhook-id"], format!("link-{}", made["id"]));
    assert_eq!(told.len(), 1);
    receiver.abort();
}
