//! Ordinary axum on the engine: handlers with axum's extractors, groups with layers, files, and an existing axum app,
//! mounted twice. The tests use it.
//!
//! `cargo run --bin ordinary`, with the same settings and the same admin listener as the service.

mod existing;
mod ways;

use std::{convert::Infallible, net::SocketAddr, path::Path as Folder, process::ExitCode, time::Duration};

use axum::{
    Extension, Form, Json,
    extract::{ConnectInfo, MatchedPath, Multipart, Path, Query, Request, ws::WebSocketUpgrade},
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::Response,
};
use axum_extra::{
    TypedHeader,
    headers::{Authorization, UserAgent, authorization::Bearer},
};
use chassis::{
    Chassis,
    connection::ConnectionInfo,
    openapi::{get, post},
    router::Router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tower_http::{cors::CorsLayer, services::ServeDir};

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |(): &(), chassis: &Chassis| {
        let replica = chassis.identity.replica.clone();
        let whoami = axum::routing::get(async move || Json(serde_json::json!({ "replica": replica })));
        let router = router().merge_axum(axum::Router::new().route("/whoami", whoami));
        Ok::<_, Infallible>(router.documented("Ordinary", &chassis.identity))
    })
}

fn router() -> Router {
    let files = Folder::new(env!("CARGO_MANIFEST_DIR")).join("programs/ordinary");
    Router::new()
        .nest("/extract", extractors())
        .nest("/v1", group())
        .nest("/ways", ways::routes())
        .nest_service("/files", ServeDir::new(&files))
        .nest("/deep", Router::new().nest_service("/files", ServeDir::new(&files)))
        .merge_axum(existing::app())
        .nest_axum("/app", existing::app())
        // Less special than `/users/me` of the existing app, and more than its `/users/{id}`.
        .route("/users/{id}/keys", get(async |Path(id): Path<u32>| format!("keys of {id}")))
        .fallback(async || (StatusCode::NOT_FOUND, "nothing here"))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Thing {
    name: String,
    size: Size,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Size {
    width: u8,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    limit: u8,
}

/// One route for each of axum's extractors, which rejects what does not fit.
fn extractors() -> Router {
    Router::new()
        .route("/json", post(async |thing: Json<Thing>| thing))
        .route("/form", post(async |Form(page): Form<Page>| page.limit.to_string()))
        .route("/query", get(async |Query(page): Query<Page>| page.limit.to_string()))
        .route("/path/{id}", get(async |Path(id): Path<u32>| id.to_string()))
        .route("/text", post(async |text: String| text))
        .route("/header", get(async |TypedHeader(agent): TypedHeader<UserAgent>| agent.to_string()))
        .route("/bearer", get(async |TypedHeader(Authorization(_)): TypedHeader<Authorization<Bearer>>| "in"))
        .route("/multipart", post(parts))
        .route("/ws", get(async |upgrade: WebSocketUpgrade| -> Response { upgrade.on_upgrade(async |_| {}) }))
        .route("/extension", get(async |Extension(_): Extension<u8>| "never"))
        .route("/lost/{id}", get(async |Path((a, b)): Path<(u32, u32)>| (a + b).to_string()))
        .route("/connect", get(peer))
        .route("/connection", get(async |connection: ConnectionInfo| connection.peer().to_string()))
        .route("/extended", get(async |Extension(connection): Extension<ConnectionInfo>| connection.peer().to_string()))
        .route(
            "/perhaps",
            get(async |it: Option<Extension<ConnectionInfo>>| it.map_or_else(String::new, |it| it.peer().to_string())),
        )
        .route("/whole", get(whole))
        .route("/crossed", get(whole).cors(CorsLayer::permissive()))
        .route("/matched", get(async |path: MatchedPath| path.as_str().to_owned()))
        .route("/own", get(async || (StatusCode::BAD_REQUEST, "this is the app's own text")))
}

/// Who has the whole request may look for anything in it.
async fn whole(request: Request) -> String {
    let connection = request.extensions().get::<ConnectionInfo>();
    connection.map(|it| it.peer().to_string()).unwrap_or_default()
}

async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.to_string()
}

async fn parts(mut parts: Multipart) -> Result<String, axum::extract::multipart::MultipartError> {
    let mut names = Vec::new();
    while let Some(part) = parts.next_field().await? {
        names.push(part.name().unwrap_or_default().to_owned());
        part.bytes().await?;
    }
    Ok(names.join(","))
}

/// A group with one key for all of it; what is forgotten is closed.
fn group() -> Router {
    Router::new()
        .route("/orders", get(async || "orders").post(async || "ordered"))
        .route("/slow", get(slow))
        .route_layer(from_fn(authorise))
        .fallback(async || (StatusCode::NOT_FOUND, "no such thing in v1"))
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(10)).await;
    "slow"
}

async fn authorise(request: Request, next: Next) -> Result<Response, StatusCode> {
    match request.headers().get(header::AUTHORIZATION) {
        Some(key) if key == "Bearer right" => Ok(next.run(request).await),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}
