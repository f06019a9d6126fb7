//! The service `stored` on a database of the test's own.

use std::{
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use chassis::testing::Service;
use sqlx::PgConnection;

use crate::{app, server::Postgres};

/// How long anything may take on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The URL of a database that no other test has.
pub(crate) async fn database(postgres: &Postgres) -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    postgres.database(&format!("stored_{}", NAMES.fetch_add(1, Relaxed))).await
}

/// A connection of the test's own to it.
pub(crate) async fn connect(postgres: &Postgres, url: &str) -> PgConnection {
    let name = url.rsplit_once("localhost/").and_then(|(_, rest)| rest.split('?').next());
    postgres.connect(name.expect("a database's name")).await
}

/// A release that migrates at its start.
pub(crate) async fn start(url: &str, more: &[(&str, &str)]) -> Service {
    let all = [&[("APP__APP__DATABASE__MIGRATE_AT_START", "true")], more].concat();
    started(url, &all).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A start that may fail, and which does not migrate.
pub(crate) async fn started(url: &str, more: &[(&str, &str)]) -> Result<Service, String> {
    let settings = [&[("APP__APP__DATABASE__URL", url)], more].concat();
    Service::start(app::SERVICE, app::router, settings).await.map_err(|error| error.to_string())
}

/// The program, with a subcommand.
pub(crate) fn program(subcommand: &str, url: &str, release: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stored"));
    command.arg(subcommand).env_clear().envs([
        ("APP__APP__DATABASE__URL", url),
        ("APP__APP__RELEASE", release),
        ("APP__SERVER__LISTEN", "http://127.0.0.1:0"),
        ("APP__ADMIN__LISTEN", "127.0.0.1:0"),
        ("APP__TELEMETRY__LOG_FORMAT", "json"),
    ]);
    command
}

/// Its exit code, and what it wrote.
pub(crate) fn ran(output: &Output) -> (Option<i32>, String) {
    let said = [&*output.stdout, &*output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Migrates to what a release needs.
pub(crate) fn migrate(url: &str, release: &str) {
    let (code, said) = ran(&program("migrate", url, release).output().expect("the program"));
    assert_eq!(code, Some(0), "{said}");
}

/// Waits until `count` statements with this text run in the database.
pub(crate) async fn statements(database: &mut PgConnection, like: &str, count: i64) {
    let select = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
        AND pid <> pg_backend_pid() AND query LIKE $1";
    let deadline = Instant::now() + BOUND;
    loop {
        let running: i64 = sqlx::query_scalar(select).bind(like).fetch_one(&mut *database).await.expect("a count");
        if running == count {
            return;
        }
        assert!(Instant::now() < deadline, "{running} statements run, and not {count}: {like}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
