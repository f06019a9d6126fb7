//! Links in Postgres: release 1 has them in the column `url`, release 4 in `target`, and those between in both.

use std::time::Duration;

use axum::{
    extract::{Query, State},
    routing::get,
};
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    openapi::Methods,
    postgres::{self, Database, DatabaseError, OpenError},
    problem::Problem,
    program::Service,
    router::Router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;

pub(crate) const SERVICE: Service = chassis::service!();

static MIGRATIONS: Migrator = sqlx::migrate!("programs/stored/migrations");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Its database.
    database: postgres::Settings,
    /// Which release this is: it knows as many migrations.
    release: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { database: postgres::Settings::default(), release: 4 }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        self.database.check("database", errors);
    }
}

pub(crate) async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, OpenError> {
    let migrations = MIGRATIONS.iter().take(settings.release).cloned().collect();
    let database =
        Database::open(&settings.database, Box::leak(Box::new(Migrator::with_migrations(migrations))), chassis)?;
    let links = Links { database, insert: INSERTS[settings.release - 1], select: SELECTS[settings.release - 1] };
    Ok(Router::new()
        .route("/visit", get(visit))
        .route("/connection", get(connection))
        .route("/sleep", get(sleep))
        .route("/raw", get(raw))
        .route("/transaction", get(transaction))
        .route("/hello", get(async || "hello\n"))
        .route("/short", Methods::from(get(sleep)).request_timeout(Duration::from_millis(500)))
        .with_state(links))
}

const INSERTS: [&str; 4] = [
    "INSERT INTO links (url) VALUES ($1) RETURNING id",
    "INSERT INTO links (url, target) VALUES ($1, $1) RETURNING id",
    "INSERT INTO links (target) VALUES ($1) RETURNING id",
    "INSERT INTO links (target) VALUES ($1) RETURNING id",
];
const SELECTS: [&str; 4] = [
    "SELECT url FROM links WHERE id = $1",
    "SELECT coalesce(target, url) FROM links WHERE id = $1",
    "SELECT target FROM links WHERE id = $1",
    "SELECT target FROM links WHERE id = $1",
];

#[derive(Clone)]
struct Links {
    database: Database,
    insert: &'static str,
    select: &'static str,
}

/// Writes a link, and reads it again.
async fn visit(State(links): State<Links>) -> Result<String, Problem> {
    let mut connection = links.database.acquire().await?;
    let id: i64 = sqlx::query_scalar(links.insert).bind("https://a.example").fetch_one(&mut *connection).await?;
    Ok(sqlx::query_scalar(links.select).bind(id).fetch_one(&mut *connection).await?)
}

/// The server's process behind the connection.
async fn connection(State(links): State<Links>) -> Result<String, Problem> {
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&links.database).await?;
    Ok(process.to_string())
}

#[derive(Deserialize)]
struct Sleep {
    ms: f64,
}

async fn sleep(State(links): State<Links>, Query(Sleep { ms }): Query<Sleep>) -> Result<&'static str, DatabaseError> {
    let mut connection = links.database.acquire().await?;
    sqlx::query("SELECT pg_sleep($1)").bind(ms / 1000.0).execute(&mut *connection).await?;
    Ok("slept\n")
}

/// As [`connection`], with sqlx's own pool.
async fn raw(State(links): State<Links>) -> Result<String, Problem> {
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(links.database.pool()).await?;
    Ok(process.to_string())
}

/// How many links a transaction that is dropped has left.
async fn transaction(State(links): State<Links>) -> Result<String, Problem> {
    let count = "SELECT count(*) FROM links";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&links.database).await?;
    let mut transaction = links.database.begin().await?;
    sqlx::query(links.insert).bind("https://b.example").execute(&mut *transaction).await?;
    let inside: i64 = sqlx::query_scalar(count).fetch_one(&mut *transaction).await?;
    drop(transaction);
    let after: i64 = sqlx::query_scalar(count).fetch_one(&links.database).await?;
    Ok(format!("{} {}", inside - before, after - before))
}
