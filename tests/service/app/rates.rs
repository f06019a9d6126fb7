//! Rates that come from another service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{response::IntoResponse, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{app, chassis, fetch};
use chassis::config;
use service::app::{Settings, rates};

/// Another replica set, whose rates can be taken away.
#[derive(Clone, Default)]
struct Elsewhere {
    calls: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
}

impl Elsewhere {
    async fn serve(&self) -> Settings {
        let elsewhere = self.clone();
        let answer = move || async move {
            elsewhere.calls.fetch_add(1, SeqCst);
            if elsewhere.away.load(SeqCst) {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
            let table = rates::Table { version: "elsewhere".into(), ..rates::Table::built_in() };
            axum::Json(table).into_response()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/v1/rates", get(answer));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Settings { rates_url: Some(url), ..Settings::default() }
    }
}

async fn source(app: &axum::Router) -> (Value, Value) {
    let rates = super::json(fetch(app, "/v1/rates").await).await;
    (rates["source"].clone(), rates["version"].clone())
}

async fn until(state: impl AsyncFn() -> bool) {
    let wait = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("a state that comes");
}

#[tokio::test]
async fn rates_come_from_elsewhere_by_one_call_for_many_requests() {
    let elsewhere = Elsewhere::default();
    let app = app(&elsewhere.serve().await, &chassis()).await;
    let asked = (0..20).map(|_| source(&app));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer, (json!("upstream"), json!("elsewhere")));
    }
    assert_eq!(source(&app).await, (json!("cached"), json!("elsewhere")));
    assert_eq!(elsewhere.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn without_fresh_rates_the_built_in_ones_hold_and_the_replica_is_degraded() {
    let elsewhere = Elsewhere::default();
    let settings = Settings { rates_max_age: config::Duration::from_millis(300), ..elsewhere.serve().await };
    let chassis = chassis();
    let app = app(&settings, &chassis).await;
    assert_eq!(source(&app).await, (json!("upstream"), json!("elsewhere")));

    elsewhere.away.store(true, SeqCst);
    chassis.checks.start(&tokio::runtime::Handle::current());
    until(async || chassis.checks.degraded()).await;
    assert!(chassis.checks.ready());
    until(async || source(&app).await == (json!("built-in"), json!("2026-01"))).await;

    elsewhere.away.store(false, SeqCst);
    until(async || !chassis.checks.degraded()).await;
    until(async || source(&app).await.1 == "elsewhere").await;
}

#[tokio::test]
async fn a_stale_table_is_served_while_it_is_renewed() {
    let elsewhere = Elsewhere::default();
    let settings = Settings { rates_max_age: config::Duration::from_secs(2), ..elsewhere.serve().await };
    let app = app(&settings, &chassis()).await;
    assert_eq!(source(&app).await.0, "upstream");
    until(async || source(&app).await.0 == "cached" && elsewhere.calls.load(SeqCst) == 2).await;
}

#[tokio::test]
async fn nobody_elsewhere_means_built_in_rates_at_once() {
    let settings = Settings { rates_url: Some("http://127.0.0.1:1".into()), ..Settings::default() };
    let app = app(&settings, &chassis()).await;
    assert_eq!(source(&app).await, (json!("built-in"), json!("2026-01")));
}
