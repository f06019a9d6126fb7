//! `GET /v1/rates`: the rate table, and where it comes from.
//!
//! Next: `book`, which keeps the table fresh.

mod book;
mod table;

pub use book::{Book, Current, Source};
pub use table::{Country, Lane, Price, Speed, Table};
#[cfg(test)]
pub(super) use table::{MAX_FUEL, MAX_PRICE};

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tower_http::compression::CompressionLayer;

use super::Settings;
use chassis::{
    Chassis,
    health::{Check, DuplicateCheck, Kind},
    openapi::{Methods, Operation, Output, get},
};

/// The table, and where it came from.
#[derive(Debug, Serialize, JsonSchema)]
struct Rates<'a> {
    /// Where it came from.
    source: Source,
    #[serde(flatten)]
    table: &'a Table,
}

/// The route.
pub fn list(book: &Arc<Book>) -> Methods {
    get(answer).about("The rate table").with_state(Arc::clone(book)).layer(CompressionLayer::new())
}

/// Registers a background refresh of the rates as a soft check, since quotes work without fresh rates.
///
/// # Errors
/// When the check's name is taken.
pub fn watch(book: &Arc<Book>, settings: &Settings, chassis: &Chassis) -> Result<(), DuplicateCheck> {
    if settings.rates_url.is_none() {
        return Ok(());
    }
    let watched = Arc::clone(book);
    let check = Check::new("rates", Kind::Soft, move || {
        let book = Arc::clone(&watched);
        async move { book.renew().await.map_err(|error| error.to_string()) }
    });
    chassis.checks.register(check.every(book.renew_after()).within(settings.rates_client.timeout.get()))
}

/// The table as JSON, or 304 if the client already has it.
struct Answer {
    body: Option<Vec<u8>>,
    tag: String,
    max_age_seconds: u64,
}

async fn answer(State(book): State<Arc<Book>>, headers: HeaderMap) -> Answer {
    let Current { table, source } = book.current().await;
    let body = serde_json::to_vec(&Rates { source, table: &table }).expect("a table has only strings and numbers");
    let tag = tag(&body);
    let body = (!matches(&headers, &tag)).then_some(body);
    Answer { body, tag, max_age_seconds: book.max_age_seconds() }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let caching = [(header::ETAG, self.tag), (header::CACHE_CONTROL, format!("max-age={}", self.max_age_seconds))];
        match self.body {
            Some(body) => (caching, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
            None => (StatusCode::NOT_MODIFIED, caching).into_response(),
        }
    }
}

impl Output for Answer {
    fn describe(operation: &mut Operation<'_>) {
        operation.parameter("header", "if-none-match", json!({ "type": "string" }), false);
        operation.answers::<Rates>("application/json");
        operation.header("etag", "The table's version; send it as `If-None-Match` next time.");
        operation.with_status(StatusCode::NOT_MODIFIED, Operation::answers_nothing);
    }
}

/// Weak, since compression changes the bytes; FNV-1a, since all replicas and versions must agree on it.
fn tag(body: &[u8]) -> String {
    let hash = body
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("W/\"{hash:016x}\"")
}

/// RFC 9110, section 13.1.2: a list, compared weakly, or `*`.
fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|candidate| candidate.trim() == "*" || opaque(candidate) == opaque(tag))
}
