//! The app's routes, asked as a client does, but without a socket.

mod rates;
mod settings;

use axum::{body::Body, extract::Request, response::Response};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use chassis::{Chassis, telemetry::Identity};
use service::app::{Settings, rates::Table, router};

fn chassis() -> Chassis {
    Chassis::detached(Identity {
        service: "tests".into(),
        replica: "replica-1".into(),
        zone: Some("zone-a".into()),
        version: "1.2.3".into(),
        ..Identity::default()
    })
}

/// The app as an axum service, without the chassis's middleware.
async fn app(settings: &Settings, chassis: &Chassis) -> axum::Router {
    router(settings, chassis).await.unwrap().into_axum()
}

async fn send(app: &axum::Router, request: Request) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

async fn fetch(app: &axum::Router, path: &str) -> Response {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn bytes(response: Response) -> bytes::Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&bytes(response).await).unwrap()
}

async fn quote(app: &axum::Router, body: &str) -> Response {
    let request = Request::post("/v1/quotes").header("content-type", "application/json");
    send(app, request.body(Body::from(body.to_owned())).unwrap()).await
}

/// Field and code of each error of a problem.
async fn errors(response: Response) -> Vec<(String, String)> {
    let problem = json(response).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = problem["errors"].as_array().unwrap().iter();
    errors.map(|error| (text(&error["field"]), text(&error["code"]))).collect()
}

const PARCEL: &str = r#"{"from":"DE","to":"FR","weight_g":800,"service":"standard",
    "dimensions_mm":{"length":300,"width":200,"height":100}}"#;

#[tokio::test]
async fn a_parcel_gets_a_quote_and_a_wrong_one_a_problem() {
    let app = app(&Settings::default(), &chassis()).await;
    let quoted = json(quote(&app, PARCEL).await).await;
    assert_eq!(quoted["amount_minor"], 1351);
    assert_eq!(quoted["rates"], json!({ "version": "2026-01", "source": "built-in" }));

    assert_eq!(quote(&app, "{").await.status(), 400);
    let wrong = quote(&app, "\"parcel\"").await;
    assert_eq!(wrong.status(), 422);
    assert_eq!(wrong.headers()["content-type"], "application/problem+json");
    assert_eq!(errors(wrong).await, [(String::new(), "invalid".to_owned())]);
}

#[tokio::test]
async fn every_wrong_field_of_a_parcel_is_named() {
    let dimensions = json!({ "length": 0, "width": "wide", "depth": 1 });
    let body = json!({ "from": "Germany", "to": "XX", "weight_g": -5, "dimensions_mm": dimensions, "colour": "red" });
    let expected = [
        ("/from", "invalid"),
        ("/to", "unknown_country"),
        ("/weight_g", "out_of_range"),
        ("/dimensions_mm/length", "out_of_range"),
        ("/dimensions_mm/width", "invalid"),
        ("/dimensions_mm/height", "required"),
        ("/dimensions_mm/depth", "unknown"),
        ("/service", "required"),
        ("/colour", "unknown"),
    ];
    let found = errors(quote(&app(&Settings::default(), &chassis()).await, &body.to_string()).await).await;
    assert_eq!(found, expected.map(|(field, code)| (field.to_owned(), code.to_owned())));
}

#[tokio::test]
async fn whoami_tells_the_replica_and_is_not_stored() {
    let response = fetch(&app(&Settings::default(), &chassis()).await, "/whoami").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let (replica, zone) = ("replica-1", "zone-a");
    let expected = json!({
        "replica": replica, "zone": zone, "version": "1.2.3", "uptime_seconds": 0, "requests": 0, "phase": "ready",
    });
    assert_eq!(json(response).await, expected);
}

#[tokio::test]
async fn work_is_bounded() {
    let app = app(&Settings::default(), &chassis()).await;
    assert_eq!(bytes(fetch(&app, "/v1/work?cpu_ms=1&bytes=10").await).await, "..........");
    assert_eq!(fetch(&app, "/v1/work").await.status(), 200);
    let wrong = fetch(&app, "/v1/work?cpu_ms=1001&sleep_ms=10001&bytes=1048577").await;
    let fields = errors(wrong).await.into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    assert_eq!(fields, ["cpu_ms", "sleep_ms", "bytes"]);
    for path in ["/v1/work?bytes=-1", "/v1/work?sleep_ms=x", "/v1/work?other=1"] {
        assert_eq!(fetch(&app, path).await.status(), 422, "{path}");
    }
}

#[tokio::test]
async fn the_page_allows_nothing_inline() {
    let app = app(&Settings::default(), &chassis()).await;
    let page = fetch(&app, "/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"));
    let page = String::from_utf8(bytes(page).await.to_vec()).unwrap();
    assert!(page.contains("src=\"board.js\"") && !page.contains(" style=") && !page.contains("<style"), "{page}");
    assert_eq!(fetch(&app, "/board.css").await.headers()["content-type"], "text/css");
    assert_eq!(fetch(&app, "/board.js").await.headers()["content-type"], "text/javascript");
}

#[test]
fn the_built_in_table_is_sound_and_one_with_a_hole_is_not() {
    let table = Table::built_in();
    assert!(table.is_sound());
    let wire = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<Table>(&wire).unwrap(), table);
    assert!(!Table { prices: table.prices[1..].to_vec(), ..table.clone() }.is_sound());
    assert!(!Table { fuel_percent: 1001, ..table.clone() }.is_sound());
    assert!(!Table { mm3_per_g: 0, ..table }.is_sound());
}

#[tokio::test]
async fn rates_are_cacheable_and_compressed() {
    let app = app(&Settings::default(), &chassis()).await;
    let response = fetch(&app, "/v1/rates").await;
    assert_eq!(response.headers()["cache-control"], "max-age=60");
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(json(response).await["source"], "built-in");
    assert!(tag.starts_with("W/"), "one for both codings: {tag}");

    let request = Request::get("/v1/rates").header("if-none-match", format!("\"other\", {tag}"));
    let response = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!((response.status(), response.headers()["etag"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, &*tag));
    assert!(bytes(response).await.is_empty());

    let request = Request::get("/v1/rates").header("accept-encoding", "gzip");
    let response = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["vary"], "accept-encoding");
}

#[tokio::test]
async fn only_listed_origins_may_call() {
    let allowed = |app: axum::Router, origin: &'static str| async move {
        let request = Request::get("/v1/rates").header("origin", origin).body(Body::empty()).unwrap();
        send(&app, request).await.headers().get("access-control-allow-origin").cloned()
    };
    let settings = Settings { cors_origins: vec!["https://shop.example".into()], ..Settings::default() };
    let listed = app(&settings, &chassis()).await;
    assert_eq!(allowed(listed.clone(), "https://shop.example").await.unwrap(), "https://shop.example");
    assert_eq!(allowed(listed.clone(), "https://other.example").await, None);
    assert_eq!(allowed(app(&Settings::default(), &chassis()).await, "https://shop.example").await, None);

    let preflight = Request::options("/v1/quotes")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST");
    let response = send(&listed, preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-headers"], "content-type");
}
