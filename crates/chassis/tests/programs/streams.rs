//! Another app on the same chassis: everything that a request can do to a connection. The tests use it.
//!
//! `cargo run --example streams`, with the same settings and the same admin listener as the service.

use std::{convert::Infallible, process::ExitCode, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Query, ws},
    response::{
        Response,
        sse::{Event, Sse},
    },
    routing::{any, get, post},
};
use chassis::{Chassis, connection::ConnectionInfo, router::Router};
use futures_util::{Stream, stream};
use serde::Deserialize;

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |_: &Settings, _: &Chassis| Ok::<_, Infallible>(routes()))
}

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {}

impl chassis::config::Check for Settings {
    fn check(&self, _: &mut chassis::config::SettingErrors) {}
}

fn routes() -> Router {
    Router::new()
        .route("/hello", get(async || "hello\n"))
        .route("/echo", post(async |body: Body| body))
        .route("/upload", post(upload))
        .route("/unread", post(async || "not read\n"))
        .route("/download", get(download))
        .route("/blob", get(async |Query(amount): Query<Amount>| vec![b'x'; amount.bytes]))
        .route("/sse", get(sse))
        .route("/ws", any(websocket))
        .route("/slow", get(slow))
        .route("/block", get(block))
        .route("/block-cpu", get(block))
        .cpu_bound()
        .route("/panic", get(panic))
        .route("/bad-body", get(bad_body))
}

async fn upload(body: axum::body::Bytes) -> String {
    format!("{}\n", body.len())
}

#[derive(Deserialize)]
struct Amount {
    #[serde(default)]
    bytes: usize,
    #[serde(default)]
    ms: u64,
}

/// Bytes in parts of 16 KiB, without a length.
async fn download(Query(amount): Query<Amount>) -> Body {
    let parts = (0..amount.bytes).step_by(16 * 1024).map(move |at| vec![b'x'; (amount.bytes - at).min(16 * 1024)]);
    Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)))
}

/// An event every 100 ms, and `bye` when the replica drains.
async fn sse(Extension(connection): Extension<ConnectionInfo>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ending = connection.ending();
    Sse::new(stream::unfold(Some(ending), |ending| async {
        let ending = ending?;
        let ended = tokio::time::timeout(Duration::from_millis(100), ending.cancelled()).await.is_ok();
        let event = Event::default().data(if ended { "bye" } else { "tick" });
        Some((Ok(event), (!ended).then_some(ending)))
    }))
}

/// Echoes messages, pings a client that is quiet, and closes with 1001 (going away) when the replica drains.
async fn websocket(Extension(connection): Extension<ConnectionInfo>, upgrade: ws::WebSocketUpgrade) -> Response {
    let ending = connection.ending();
    let every = connection.ping_interval().unwrap_or(Duration::MAX);
    upgrade.on_upgrade(async move |mut socket| {
        loop {
            // Anew after each message: what the client sends shows that it is there.
            let quiet = tokio::time::sleep(every);
            tokio::select! {
                () = quiet => {
                    if socket.send(ws::Message::Ping(Vec::new().into())).await.is_err() {
                        return;
                    }
                }
                message = socket.recv() => match message {
                    Some(Ok(message @ (ws::Message::Text(_) | ws::Message::Binary(_)))) => {
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(_)) => {}
                    _ => return,
                },
                () = ending.cancelled() => {
                    let going_away = ws::CloseFrame { code: ws::close_code::AWAY, reason: "draining".into() };
                    let _ = socket.send(ws::Message::Close(Some(going_away))).await;
                    return;
                }
            }
        }
    })
}

async fn slow(Query(amount): Query<Amount>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(amount.ms)).await;
    "slow\n"
}

/// What no handler may do: it blocks its thread.
async fn block(Query(amount): Query<Amount>) -> &'static str {
    std::thread::sleep(Duration::from_millis(amount.ms));
    "blocked\n"
}

async fn panic() -> Response {
    panic!("this handler panics")
}

/// A body that fails after its first part.
async fn bad_body() -> Body {
    let parts = [Ok("first\n"), Err(std::io::Error::other("the source failed"))];
    Body::from_stream(stream::iter(parts))
}
