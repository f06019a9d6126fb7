//! An app with what a description can say: a group behind a key, bounds, lists, an upload of a form.
//!
//! `cargo run --bin described`, with the same settings and the same admin listener as the service.

use std::{convert::Infallible, process::ExitCode};

use axum::extract::FromRequestParts;
use chassis::{
    openapi::{Input, Methods, Operation, Scheme, get, post},
    problem::{Code, FormBody, Json, Path, Problem, Query},
    router::Router,
};
use http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |(): &(), chassis: &chassis::Chassis| {
        let page = Methods::from(axum::routing::get(async || "a page\n")).undescribed();
        let router = Router::new().nest("/v1", things()).route("/page", page);
        Ok::<_, Infallible>(router.documented("Things\n\nOf all kinds.", &chassis.identity))
    })
}

fn things() -> Router {
    Router::new()
        .route("/things", get(search).about("Finds things").post(add).about("Adds a thing"))
        .route("/things/{id}", get(find).about("Finds a thing").problem(Code::NotFound))
        .route("/things/form", post(add_form).about("Adds a thing from a form"))
        .secured("key", Scheme::ApiKeyHeader("x-api-key"))
}

/// A request with the key `secret`.
struct Key;

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.headers.get("x-api-key") {
            Some(key) if key == "secret" => Ok(Self),
            Some(_) => Err(Code::Forbidden.into()),
            None => Err(Problem::new(Code::Unauthorized).with_challenge("ApiKey")),
        }
    }
}

impl Input for Key {
    fn describe(_: &mut Operation<'_>) {}
}

/// A thing.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Thing {
    /// What it is called.
    #[schemars(length(min = 1, max = 20), regex(pattern = "^[a-z]+$"))]
    name: String,
    /// Where it came from.
    #[schemars(range(max = 18_446_744_073_709_551_614_u64))]
    serial: u64,
    /// How it feels.
    #[serde(default)]
    #[schemars(length(max = 3))]
    kinds: Vec<Kind>,
}

/// How a thing feels.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// As a stone does.
    Hard,
    /// As wool does.
    Soft,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Any of these kinds.
    #[serde(default)]
    kind: Vec<Kind>,
    /// At most so many.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u8>,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    #[schemars(range(min = 1))]
    id: u64,
}

async fn search(_: Key, Query(search): Query<Search>) -> Json<Vec<Thing>> {
    let things = search.kind.into_iter().zip(1..);
    let things = things.map(|(kind, serial)| Thing { name: "found".into(), serial, kinds: vec![kind] });
    Json(things.take(search.limit.unwrap_or(100).into()).collect())
}

async fn add(_: Key, thing: Json<Thing>) -> Json<Thing> {
    thing
}

async fn add_form(_: Key, FormBody(thing): FormBody<Thing>) -> Json<Thing> {
    Json(thing)
}

async fn find(_: Key, Path(place): Path<Place>) -> Result<Json<Thing>, Problem> {
    match place.id {
        1 => Ok(Json(Thing { name: "first".into(), serial: 1, kinds: Vec::new() })),
        _ => Err(Code::NotFound.into()),
    }
}
