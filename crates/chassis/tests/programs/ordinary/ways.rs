//! The same routes three times: called directly, by axum's own method router, and behind a layer. A test compares what they
//! answer.

use std::{
    future::{Ready, ready},
    thread,
};

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, Request, State, WebSocketUpgrade},
    handler::Handler,
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, NoContent, Redirect, Response},
    routing,
};
use chassis::{
    openapi::{self, opaque},
    problem::{Code, Path, Problem},
    router::Router,
};
use futures_util::stream;

macro_rules! routes {
    ($verbs:ident) => {
        Router::new()
            .route("/text", $verbs::get(text).post(echo).with_state("text"))
            .route("/shared", $verbs::get(empty).put(empty))
            .route("/shared", $verbs::delete(gone).patch(empty))
            .route("/long", $verbs::get(long))
            .route("/stream", $verbs::get(opaque(streamed)))
            .route("/no-content", $verbs::get(no_content))
            .route("/redirect", $verbs::get(redirect))
            .route("/allow", $verbs::get(own_headers))
            .route("/bare", $verbs::get(bare).post(bare))
            .route("/problem", $verbs::get(problem).post(problem))
            .route("/panic", $verbs::get(panicking).post(panicking))
            .route("/own", $verbs::get(Own { panics: false }))
            .route("/own-panic", $verbs::get(Own { panics: true }))
            .route("/own-computing", $verbs::get(Own { panics: false }))
            .cpu_bound()
            .route("/own-computing-panic", $verbs::get(Own { panics: true }))
            .cpu_bound()
            .route("/ws", $verbs::get(upgrade))
            .route("/path/{id}/{name}", $verbs::get(path))
    };
}

pub(super) fn routes() -> Router {
    let layer = from_fn(async |request: Request, next: Next| next.run(request).await);
    Router::new()
        .nest("/direct", routes!(openapi))
        .nest("/routed", routes!(routing))
        .nest("/layered", routes!(openapi).layer(layer))
}

async fn text(State(text): State<&'static str>, RawQuery(query): RawQuery) -> String {
    format!("{text} {}", query.unwrap_or_default())
}

async fn echo(headers: HeaderMap, body: Bytes) -> (HeaderMap, Bytes) {
    let kept = |name: HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    (kept(header::CONTENT_TYPE).into_iter().collect(), body)
}

async fn empty() {}

async fn gone() -> StatusCode {
    StatusCode::GONE
}

/// Above what is counted with its head.
async fn long() -> String {
    "long\n".repeat(20_000)
}

async fn streamed() -> impl IntoResponse {
    Body::from_stream(stream::iter(["a", "b"].map(Ok::<_, std::io::Error>)))
}

async fn no_content() -> NoContent {
    NoContent
}

async fn redirect() -> Redirect {
    Redirect::to("/elsewhere")
}

async fn own_headers() -> (HeaderMap, &'static str) {
    let headers = [(header::ALLOW, "GET"), (header::CONTENT_LENGTH, "4"), (header::ETAG, "\"1\"")];
    let headers = headers.into_iter().map(|(name, value)| (name, value.parse().expect("a header value")));
    (headers.collect(), "text")
}

async fn bare() -> StatusCode {
    StatusCode::CONFLICT
}

async fn problem() -> Problem {
    Problem::new(Code::NotFound)
}

async fn panicking() -> StatusCode {
    panic!("as a test asks for")
}

/// A handler of the app's own type that works in `call`; a function works in its future alone.
#[derive(Clone)]
struct Own {
    panics: bool,
}

impl openapi::Handler<()> for Own {
    type Output = String;
}

impl<S> Handler<Self, S> for Own {
    type Future = Ready<Response>;

    /// Answers with the current request and the runtime.
    fn call(self, _: Request, _: S) -> Self::Future {
        assert!(!self.panics, "as a test asks for");
        let id = chassis::request::current().map(|request| request.id().to_owned());
        ready(format!("{id:?} {:?}", thread::current().name()).into_response())
    }
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |_| {})
}

async fn path(Path((id, name)): Path<(u32, String)>) -> String {
    format!("{id} {name}")
}
