//! `GET /v1/rates`: the rate table, and where it comes from.
//!
//! Next: `book`, which keeps the table fresh.

mod book;
mod table;

pub use book::{Book, Current, Source};
pub use table::{Country, Lane, Price, Service, Table};
#[cfg(test)]
pub(super) use table::{MAX_FUEL, MAX_PRICE};

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use tower_http::compression::CompressionLayer;

use super::Settings;
use crate::chassis::{
    Chassis,
    health::{Check, DuplicateCheck, Kind},
};

/// The answer: the table, and where it came from.
#[derive(Debug, Serialize, JsonSchema)]
struct Rates<'a> {
    source: Source,
    #[serde(flatten)]
    table: &'a Table,
}

/// The route.
pub fn list(book: &Arc<Book>) -> MethodRouter {
    get(answer).with_state(Arc::clone(book)).layer(CompressionLayer::new())
}

/// Has the chassis renew the rates in the background; softly, as a quote without fresh rates is still a quote.
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
        async move { book.renew().await.map_err(|error| error.reason()) }
    });
    chassis.checks.register(check.every(book.renew_after()).within(settings.rates_client.timeout.get()))
}

async fn answer(State(book): State<Arc<Book>>, headers: HeaderMap) -> Response {
    let Current { table, source } = book.current().await;
    let body = serde_json::to_vec(&Rates { source, table: &table }).expect("a table has only strings and numbers");
    let tag = tag(&body);
    let caching = [
        (header::ETAG, HeaderValue::from_str(&tag).expect("hexadecimal digits")),
        (header::CACHE_CONTROL, HeaderValue::from_str(&format!("max-age={}", book.max_age_seconds())).expect("digits")),
    ];
    if matches(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Weak, as compression changes the bytes; FNV-1a, as all replicas and versions have to agree on it.
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
