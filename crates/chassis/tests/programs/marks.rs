//! Routes with limits of their own: of the body, of the time, and with CORS.

use std::{convert::Infallible, process::ExitCode, time::Duration};

use axum::{
    Form,
    body::Bytes,
    extract::{Multipart, Query, multipart::MultipartError},
    routing::{get, post},
};
use chassis::{config::Size, openapi::Methods, router::Router};
use http::{HeaderName, HeaderValue, Method, header, request::Parts};
use serde::Deserialize;
use tower_http::cors::{AllowOrigin, CorsLayer};

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |(): &(), _: &chassis::Chassis| Ok::<_, Infallible>(routes()))
}

fn routes() -> Router {
    Router::new()
        .nest("/server", uploads())
        .nest("/1MiB", uploads().max_body(Size::mib(1)))
        .nest("/3MiB", uploads().max_body(Size::mib(3)))
        .nest("/20MiB", uploads().max_body(Size::mib(20)))
        .route("/usual", get(slow))
        .route("/short", Methods::from(get(slow)).request_timeout(Duration::from_millis(200)))
        .route("/long", Methods::from(get(slow)).request_timeout(Duration::from_mins(1)))
        .merge(shared())
}

/// What reads a body whole, in axum and in the engine.
fn uploads() -> Router {
    Router::new()
        .route("/bytes", post(async |body: Bytes| body.len().to_string()))
        .route("/string", post(async |body: String| body.len().to_string()))
        .route("/form", post(async |Form(form): Form<Field>| form.field.len().to_string()))
        .route("/multipart", post(parts))
        .route("/json", post(async |axum::Json(text): axum::Json<String>| text.len().to_string()))
        .route("/problem-json", post(async |text: chassis::problem::Json<String>| text.len().to_string()))
}

#[derive(Deserialize)]
struct Field {
    field: String,
}

async fn parts(mut multipart: Multipart) -> Result<String, MultipartError> {
    let mut sum = 0;
    while let Some(field) = multipart.next_field().await? {
        sum += field.bytes().await?.len();
    }
    Ok(sum.to_string())
}

/// Called by pages of other origins; one route has its own.
fn shared() -> Router {
    Router::new()
        .route("/shared/slow", get(slow))
        .route("/shared/upload", post(async |body: Bytes| body.len().to_string()))
        .route("/shared/panic", get(async || -> () { panic!("this handler panics") }))
        .route("/shared/two", get(async || "got"))
        .route("/shared/two", post(async || "posted"))
        .route("/shared/own", Methods::from(get(async || "own")).cors(origin("https://own.example")))
        .route("/shared/none", Methods::from(get(async || "none")).cors(None))
        .request_timeout(Duration::from_secs(2))
        .cors(origin("https://shop.example"))
        .route("/alone", get(slow))
        .route("/shared/unruly", Methods::from(get(async || "got")).cors(unruly()))
}

/// Its rule panics, but for one origin.
fn unruly() -> CorsLayer {
    let is_shop = |origin: &HeaderValue, _: &Parts| {
        assert_eq!(origin, "https://shop.example", "no such origin");
        true
    };
    CorsLayer::new().allow_origin(AllowOrigin::predicate(is_shop))
}

fn origin(origin: &'static str) -> CorsLayer {
    CorsLayer::new()
        .allow_origin([HeaderValue::from_static(origin)])
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE])
        .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER])
}

#[derive(Deserialize)]
struct Pause {
    ms: u64,
}

async fn slow(Query(pause): Query<Pause>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(pause.ms)).await;
    "slow\n"
}
