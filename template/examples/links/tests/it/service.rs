//! The service on a database of the test's own.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use chassis::testing::{Request, Service};

use crate::postgres::Postgres;

pub(crate) const KEY: &str = "a-key-of-the-tests";

/// The files that the service shows.
const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/public");

/// A database that no other test has.
pub(crate) fn name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("links_{}", NAMES.fetch_add(1, Relaxed))
}

/// What every test sets, and what it adds.
pub(crate) fn settings<'a>(database: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let all = [
        ("APP__APP__DATABASE__URL", database),
        ("APP__APP__DATABASE__MIGRATE_AT_START", "true"),
        ("APP__APP__API_KEYS", "tests:a-key-of-the-tests"),
        ("APP__APP__PUBLIC_DIR", PUBLIC),
        ("APP__APP__CORS_ORIGINS", "https://admin.example"),
        ("APP__APP__JOBS__POLL", "20ms"),
    ];
    let kept = all.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    kept.chain(more.iter().copied()).collect()
}

/// The service on a new database, and that database's name.
pub(crate) async fn start(postgres: &Postgres, more: &[(&str, &str)]) -> (Service, String) {
    let name = name();
    let url = postgres.database(&name).await;
    (on(&url, more).await, name)
}

/// The service on this database.
pub(crate) async fn on(url: &str, more: &[(&str, &str)]) -> Service {
    let started = Service::start(links::SERVICE, links::router, settings(url, more)).await;
    started.unwrap_or_else(|error| panic!("{error}"))
}

/// With the key.
pub(crate) fn keyed(request: Request) -> Request {
    request.header("x-api-key", KEY)
}
