//! A resource that lives in Redis: `PUT`, `GET` and `DELETE /v1/notes/{id}`.
//!
//! All replicas see the same notes. If Redis is unreachable, a request gets 503 with `Retry-After`, the soft check
//! `redis` marks the replica degraded, and it stays in the balancer.
//!
//! `APP__APP__REDIS_URL=redis://127.0.0.1/ cargo run -p recipes --example notes`

use std::process::ExitCode;

use axum::{extract::State, routing::get};
use chassis::{
    Chassis,
    config::{Check, Duration, SettingErrors},
    problem::{Code, Json, Path, Problem},
    router::Router,
};
use http::StatusCode;
use recipes::store;
use redis::{AsyncCommands, SetExpiry, SetOptions, aio::ConnectionManager};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Where Redis is.
    redis_url: String,
    /// How long a note is kept.
    keep: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        // An hour: enough for an example.
        Self { redis_url: "redis://127.0.0.1/".into(), keep: Duration::from_secs(3600) }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        store::check(&self.redis_url, errors);
        errors.require(self.keep.get().as_secs() > 0, "keep", "must be at least 1s");
    }
}

/// A note.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    /// What it says.
    text: String,
}

#[derive(Clone)]
struct Notes {
    redis: ConnectionManager,
    keep: std::time::Duration,
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, store::StartError> {
    let notes = Notes { redis: store::connect(&settings.redis_url, chassis)?, keep: settings.keep.get() };
    Ok(Router::new().route("/v1/notes/{id}", get(read).put(write).delete(remove)).with_state(notes))
}

async fn read(State(mut notes): State<Notes>, Path(id): Path<String>) -> Result<Json<Note>, Problem> {
    let text: Option<String> = notes.redis.get(key(&id)).await.map_err(|error| store::unavailable(&error))?;
    text.map(|text| Json(Note { text })).ok_or_else(|| Problem::new(Code::NotFound))
}

/// 201 for a new note, 204 for an existing one.
async fn write(
    State(mut notes): State<Notes>,
    Path(id): Path<String>,
    Json(note): Json<Note>,
) -> Result<StatusCode, Problem> {
    let options = SetOptions::default().with_expiration(SetExpiry::EX(notes.keep.as_secs())).get(true);
    let before: Option<String> =
        notes.redis.set_options(key(&id), note.text, options).await.map_err(|error| store::unavailable(&error))?;
    Ok(if before.is_some() { StatusCode::NO_CONTENT } else { StatusCode::CREATED })
}

async fn remove(State(mut notes): State<Notes>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let removed: u64 = notes.redis.del(key(&id)).await.map_err(|error| store::unavailable(&error))?;
    if removed == 0 { Err(Problem::new(Code::NotFound)) } else { Ok(StatusCode::NO_CONTENT) }
}

fn key(id: &str) -> String {
    format!("notes:{id}")
}
