//! The app that every door is tested with: what a request can say and what an answer can be.
//!
//! `cargo run --example battery`, with the same settings and the same admin listener as the service. Each door serves
//! it unchanged.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    hash::{DefaultHasher, Hasher},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, Query, Request},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{MethodRouter, any, get, options, post},
};
use chassis::{
    Chassis,
    config::Size,
    connection::ConnectionInfo,
    openapi::{self, Methods},
    problem::{FormBody, Json},
    router::Router,
};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_http::compression::CompressionLayer;

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |settings: &Settings, _: &Chassis| {
        let own = Router::new().route("/", options(async || "the app's own\n"));
        Ok::<_, Infallible>(if settings.options { routes().merge(own) } else { routes() })
    })
}

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Answers `OPTIONS /` itself.
    options: bool,
}

impl chassis::config::Check for Settings {
    fn check(&self, _: &mut chassis::config::SettingErrors) {}
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/hello/", get(async || "Hello, World!\n"))
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/upload", post(upload))
        .route("/json", post(async |json: Json<Value>| json.0.to_string()))
        .route("/form", post(async |form: FormBody<BTreeMap<String, String>>| format!("{:?}", form.0)))
        .route("/axum-json", post(async |json: axum::Json<Value>| json.0.to_string()))
        .route("/text", post(async |text: String| text))
        .nest("/gzip", decompressing())
        .route("/download", get(download))
        .route("/stream", get(stream_of_parts))
        .route("/sse", get(sse))
        .route("/unread", post(async || "not read\n"))
        .route("/slow", any(slow))
        .route("/slow/running", get(async || RUNNING.load(Relaxed).to_string()))
        .route("/slow/cancelled", get(async || CANCELLED.load(Relaxed).to_string()))
        .route("/bad-body", get(bad_body))
        .route("/no-content", get(async || StatusCode::NO_CONTENT))
        .route("/not-modified", get(async || (StatusCode::NOT_MODIFIED, [("etag", "\"1\"")])))
        .route("/said/{status}", any(said))
        .route("/closing", get(async || (one("connection", "close"), "the last\n")))
        .route("/typed/{kind}", get(typed))
        .route("/compressed", get(async || LONG).layer(CompressionLayer::new()))
        .route("/compressed/{status}", any(said).layer(CompressionLayer::new()))
        .route("/cookies", get(cookies))
}

/// Routes that decompress, and what each reads its body with.
fn decompressing() -> Router {
    let of = |handlers: MethodRouter| Methods::from(handlers).decompress();
    Router::new()
        .route("/json", of(post(async |json: Json<Value>| json.0.to_string())))
        .route("/described", openapi::post(async |json: Json<Value>| json.0.to_string()).decompress())
        .route("/axum-json", of(post(async |json: axum::Json<Value>| json.0.to_string())))
        .route("/text", of(post(async |text: String| text.len().to_string())))
        .route("/upload", of(post(upload)))
        .max_body(Size::kib(4))
}

/// 2,000 letters: long enough to be compressed.
const LONG: &str = match str::from_utf8(&[b'a'; 2000]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

/// A status with a body, its length and its type, whether or not it may have one.
async fn said(Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, one("content-length", &LONG.len().to_string()), LONG).into_response()
}

#[derive(Deserialize)]
struct Buffering {
    buffering: Option<String>,
}

/// A short body of any type.
async fn typed(Path(kind): Path<String>, Query(said): Query<Buffering>) -> Response {
    let mut headers = one("content-type", &kind);
    headers.extend(said.buffering.map(|value| one("x-accel-buffering", &value)).unwrap_or_default());
    (headers, "data: tick\n\n").into_response()
}

/// What the request said.
async fn echo(Extension(connection): Extension<ConnectionInfo>, request: Request) -> axum::Json<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.map(|body| String::from_utf8_lossy(&body).into_owned());
    let headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| [name.as_str(), value.to_str().unwrap_or("?")]).collect();
    axum::Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers,
        "client": connection.client(&parts.headers).to_string(),
        "certificate": connection.client_certificate().map(|certificate| certificate.subject().to_owned()),
        "scheme": connection.scheme(&parts.headers),
        "asked": connection.host(&parts.uri, &parts.headers),
        "body": body.ok(),
    }))
}

/// How many bytes came, and their checksum.
async fn upload(body: Body) -> Result<String, StatusCode> {
    let (mut bytes, mut sum, mut parts) = (0, DefaultHasher::new(), body.into_data_stream());
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| StatusCode::BAD_REQUEST)?;
        bytes += part.len();
        sum.write(&part);
    }
    Ok(format!("{bytes} {:016x}\n", sum.finish()))
}

#[derive(Deserialize)]
struct Amount {
    #[serde(default)]
    bytes: usize,
    #[serde(default)]
    ms: u64,
    /// Says Content-Length.
    #[serde(default)]
    length: bool,
}

/// Bytes in parts of 16 KiB; each says where it is, so that no two are alike.
async fn download(Query(amount): Query<Amount>) -> Response {
    let part = move |at: usize| {
        let mut part = vec![b'x'; (amount.bytes - at).min(16 * 1024)];
        for (place, byte) in part.iter_mut().zip(at.to_le_bytes()) {
            *place = byte;
        }
        Bytes::from(part)
    };
    let parts = (0..amount.bytes).step_by(16 * 1024).map(part);
    let body = Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)));
    let length = amount.length.then(|| [("content-length", amount.bytes.to_string())]);
    (length.map_or_else(HeaderMap::new, |[(name, value)]| one(name, &value)), body).into_response()
}

fn one(name: &'static str, value: &str) -> HeaderMap {
    [(name.parse().expect("a name"), value.parse().expect("a value"))].into_iter().collect()
}

/// Five parts, one each `ms`.
async fn stream_of_parts(Query(amount): Query<Amount>) -> Body {
    Body::from_stream(stream::iter(0..5).then(move |part| async move {
        if part > 0 {
            tokio::time::sleep(Duration::from_millis(amount.ms)).await;
        }
        Ok::<_, Infallible>(format!("part {part}\n"))
    }))
}

/// An event at once and every 100 ms, and `bye` when the replica drains.
async fn sse(Extension(connection): Extension<ConnectionInfo>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ending = connection.ending();
    let first = stream::iter([Ok(Event::default().data("tick"))]);
    Sse::new(first.chain(stream::unfold(Some(ending), |ending| async {
        let ending = ending?;
        let ended = tokio::time::timeout(Duration::from_millis(100), ending.cancelled()).await.is_ok();
        let event = Event::default().data(if ended { "bye" } else { "tick" });
        Some((Ok(event), (!ended).then_some(ending)))
    })))
}

/// Slow handlers at work, and those that were dropped before they answered.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

async fn slow(Query(amount): Query<Amount>) -> &'static str {
    struct Guard(bool);
    impl Drop for Guard {
        fn drop(&mut self) {
            RUNNING.fetch_sub(1, Relaxed);
            CANCELLED.fetch_add(usize::from(!self.0), Relaxed);
        }
    }
    RUNNING.fetch_add(1, Relaxed);
    let mut guard = Guard(false);
    tokio::time::sleep(Duration::from_millis(amount.ms)).await;
    guard.0 = true;
    "slow\n"
}

/// A body that fails after its first part; with `length`, one that said how long it would be.
async fn bad_body(Query(amount): Query<Amount>) -> Response {
    let parts = [Ok("first\n"), Err(std::io::Error::other("the source failed"))];
    let parts = stream::iter(parts).then(|part| async {
        // The first part is on its way when the second fails.
        tokio::time::sleep(Duration::from_millis(20)).await;
        part
    });
    let headers = if amount.length { one("content-length", "1000") } else { HeaderMap::new() };
    (headers, Body::from_stream(parts)).into_response()
}

/// A header that comes twice.
async fn cookies() -> Response {
    let mut response = "cookies\n".into_response();
    for cookie in ["a=1", "b=2"] {
        response.headers_mut().append("set-cookie", cookie.parse().expect("a value"));
    }
    response
}
