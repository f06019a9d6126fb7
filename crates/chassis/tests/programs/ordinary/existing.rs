//! An axum app as it is written without this engine, with the shapes of axum's own examples: state, an error of its own,
//! `from_fn`, multipart, Server-Sent Events, WebSockets, cookies, files. It knows nothing of the engine.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Multipart, Path, Query, Request, State, WebSocketUpgrade, ws},
    http::StatusCode,
    middleware::{self, Next},
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use axum_extra::extract::{CookieJar, cookie::Cookie};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tower_http::services::ServeDir;

#[derive(Clone, Default)]
struct AppState {
    users: Arc<Mutex<BTreeMap<u32, User>>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

enum AppError {
    NotFound,
    Taken,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "no such user"),
            Self::Taken => (StatusCode::CONFLICT, "the name is taken"),
        };
        (status, Json(serde_json::json!({ "error": text }))).into_response()
    }
}

pub(crate) fn app() -> Router {
    let admin = Router::new().route("/stats", get(stats)).route_layer(middleware::from_fn(only_admins));
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/me", get(me))
        .route("/users/{id}", get(find))
        .route("/upload", post(upload).layer(DefaultBodyLimit::max(64)))
        .route("/events", get(events))
        .route("/echo", get(echo))
        .route("/login", post(login))
        .route("/peer", get(peer))
        .route("/wait", get(wait))
        .nest("/admin", admin)
        .nest_service("/assets", ServeDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/programs/ordinary")))
        .layer(Extension("extension"))
        .with_state(AppState::default())
}

async fn list(State(state): State<AppState>) -> impl IntoResponse {
    let users = state.users.lock().expect("the users");
    Json(users.values().cloned().collect::<Vec<_>>())
}

async fn create(State(state): State<AppState>, Json(user): Json<User>) -> Result<impl IntoResponse, AppError> {
    let mut users = state.users.lock().expect("the users");
    if users.values().any(|known| known.name == user.name) {
        return Err(AppError::Taken);
    }
    let id = u32::try_from(users.len()).expect("few users");
    users.insert(id, user.clone());
    Ok((StatusCode::CREATED, [("location", format!("/users/{id}"))], Json(user)))
}

async fn me(Extension(text): Extension<&'static str>) -> String {
    format!("me, with an {text}")
}

async fn find(State(state): State<AppState>, Path(id): Path<u32>) -> Result<Json<User>, AppError> {
    state.users.lock().expect("the users").get(&id).cloned().map(Json).ok_or(AppError::NotFound)
}

async fn upload(mut parts: Multipart) -> Result<String, Response> {
    let mut bytes = 0;
    while let Some(part) = parts.next_field().await.map_err(IntoResponse::into_response)? {
        bytes += part.bytes().await.map(|part: Bytes| part.len()).map_err(IntoResponse::into_response)?;
    }
    Ok(bytes.to_string())
}

async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let event = |text| Ok(Event::default().data(text));
    Sse::new(stream::iter(["one", "two"].map(event))).keep_alive(KeepAlive::default())
}

async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message @ ws::Message::Text(_))) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn login(jar: CookieJar) -> (CookieJar, Redirect) {
    (jar.add(Cookie::new("session", "1")), Redirect::to("/users/me"))
}

async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.to_string()
}

#[derive(Deserialize)]
struct Wait {
    ms: u64,
}

async fn wait(Query(wait): Query<Wait>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(wait.ms)).await;
    "waited"
}

async fn stats() -> &'static str {
    "stats"
}

async fn only_admins(request: Request, next: Next) -> Response {
    match request.headers().get("x-admin") {
        Some(_) => next.run(request).await,
        None => (StatusCode::FORBIDDEN, "admins only").into_response(),
    }
}
