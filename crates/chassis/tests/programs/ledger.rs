//! Another app on the same chassis: requests, events, messages and streams, each counted when it is answered, so that what
//! clients counted can be compared. The clients are the program `mixed`; `template/scripts/long-run` and the drills of
//! `template/tests/rollouts` start both.
//!
//! `APP__APP__LEDGER=FILE cargo run -p chassis-tests --bin ledger`: at its end each life appends one line of JSON to FILE.

use std::{
    convert::Infallible,
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

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
use bytes::{Bytes, BytesMut};
use chassis::{Chassis, config::Check, connection::ConnectionInfo, router::Router};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};

static POSTS: AtomicU64 = AtomicU64::new(0);
static UPLOADS: AtomicU64 = AtomicU64::new(0);
static DOWNLOADS: AtomicU64 = AtomicU64::new(0);
static MESSAGES: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// 50 ms: a client that resumes a stream sees at once whether an event is missing.
const BETWEEN_EVENTS: Duration = Duration::from_millis(50);
/// gRPC's prefix of a message: a flag and four bytes of its length.
const PREFIX: usize = 5;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The file to which a replica appends its counts.
    ledger: Option<PathBuf>,
}

impl Check for Settings {
    fn check(&self, _: &mut chassis::config::SettingErrors) {}
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |settings: &Settings, chassis: &Chassis| {
        if let Some(ledger) = settings.ledger.clone() {
            chassis.on_shutdown("ledger", async move { append(&ledger) });
        }
        Ok::<_, Infallible>(routes())
    })
}

fn append(ledger: &Path) -> io::Result<()> {
    let counts =
        [("post", &POSTS), ("upload", &UPLOADS), ("download", &DOWNLOADS), ("socket", &MESSAGES), ("grpc", &CALLS)];
    let counts: serde_json::Map<_, _> =
        counts.map(|(name, count)| (name.to_owned(), count.load(Relaxed).into())).into_iter().collect();
    // One write, so that the lines of replicas that end together do not mix.
    let line = format!("{}\n", serde_json::Value::from(counts));
    OpenOptions::new().append(true).create(true).open(ledger)?.write_all(line.as_bytes())
}

fn routes() -> Router {
    Router::new()
        .route("/quote", post(quote))
        .route("/upload", post(upload))
        .route("/download", get(download))
        .route("/events", get(events))
        .route("/socket", any(socket))
        .route("/ledger.Echo/Stream", post(grpc))
        // The same for hostile peers, not counted.
        .route("/bait", get(bait).post(async |body: Bytes| body))
}

async fn quote(body: Bytes) -> Bytes {
    POSTS.fetch_add(1, Relaxed);
    body
}

async fn upload(body: Bytes) -> String {
    UPLOADS.fetch_add(1, Relaxed);
    body.len().to_string()
}

#[derive(Deserialize)]
struct Amount {
    bytes: usize,
}

async fn download(Query(amount): Query<Amount>) -> Body {
    DOWNLOADS.fetch_add(1, Relaxed);
    bait(Query(amount)).await
}

/// In parts of 16 KiB, without a length.
async fn bait(Query(amount): Query<Amount>) -> Body {
    let parts = (0..amount.bytes).step_by(16 * 1024).map(move |at| vec![b'x'; (amount.bytes - at).min(16 * 1024)]);
    Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)))
}

/// Events 1, 2, 3 …, or those after `last-event-id`, until the replica drains: any other replica goes on.
async fn events(
    headers: HeaderMap,
    Extension(connection): Extension<ConnectionInfo>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0_u64);
    Sse::new(stream::unfold((last, connection.ending()), async |(last, ending)| {
        let ends = tokio::time::timeout(BETWEEN_EVENTS, ending.cancelled()).await.is_ok();
        let event = Event::default().id((last + 1).to_string()).data("tick");
        (!ends).then_some((Ok(event), (last + 1, ending)))
    }))
}

/// Echoes messages, and closes with 1001 (going away) when the replica drains.
async fn socket(Extension(connection): Extension<ConnectionInfo>, upgrade: ws::WebSocketUpgrade) -> Response {
    let ending = connection.ending();
    upgrade.on_upgrade(async move |mut socket| {
        loop {
            tokio::select! {
                message = socket.recv() => {
                    let Some(Ok(message @ ws::Message::Text(_))) = message else { return };
                    MESSAGES.fetch_add(1, Relaxed);
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                () = ending.cancelled() => return go_away(socket).await,
            }
        }
    })
}

/// A message that crosses the close is not looked at, and not counted: its client sends it again, on another connection.
async fn go_away(mut socket: ws::WebSocket) {
    let frame = ws::CloseFrame { code: ws::close_code::AWAY, reason: "draining".into() };
    if socket.send(ws::Message::Close(Some(frame))).await.is_ok() {
        // To the client's own close, as RFC 6455, section 5.5.1, asks; a connection that ends at once may lose ours.
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

/// A stream of gRPC in both directions: each message comes back. It ends with 0 (OK) when the client's does, and with 14
/// (UNAVAILABLE) when the replica drains.
async fn grpc(Extension(connection): Extension<ConnectionInfo>, body: Body) -> Response {
    let call = Call { body, connection, received: BytesMut::new(), is_over: false };
    let frames = stream::unfold(call, async |mut call| {
        let frame = call.next().await?;
        Some((Ok::<_, Infallible>(frame), call))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

struct Call {
    body: Body,
    connection: ConnectionInfo,
    received: BytesMut,
    is_over: bool,
}

impl Call {
    /// A message, or the status; none behind that.
    async fn next(&mut self) -> Option<Frame<Bytes>> {
        if self.is_over {
            return None;
        }
        loop {
            if let Some(message) = self.message() {
                CALLS.fetch_add(1, Relaxed);
                return Some(Frame::data(message));
            }
            let ending = self.connection.ending();
            let read = tokio::select! {
                () = ending.cancelled() => return Some(self.status("14")),
                read = self.body.frame() => read,
            };
            match read {
                Some(Ok(frame)) => self.received.extend(frame.into_data().unwrap_or_default()),
                _ => return Some(self.status("0")),
            }
        }
    }

    fn message(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(self.received.get(1..PREFIX)?.try_into().ok()?);
        let whole = PREFIX + usize::try_from(length).ok()?;
        (self.received.len() >= whole).then(|| self.received.split_to(whole).freeze())
    }

    fn status(&mut self, code: &'static str) -> Frame<Bytes> {
        self.is_over = true;
        Frame::trailers(HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static(code),
        )]))
    }
}
