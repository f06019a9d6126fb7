//! The subcommand `migrate`, and what a replica makes of the schema it finds.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    server::Postgres,
    service::{BOUND, connect, database, migrate, program, ran, started, statements},
};

#[tokio::test]
async fn of_two_migrators_one_waits_and_each_migration_is_applied_once() {
    let postgres = Postgres::shared();
    let url = database(&postgres).await;
    migrate(&url, "1");
    let mut blocking = connect(&postgres, &url).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE links IN ACCESS EXCLUSIVE MODE").execute(&mut blocking).await.expect("a lock");
    let mut migrators = [Migrator::start(&url), Migrator::start(&url)];
    let mut database = connect(&postgres, &url).await;
    statements(&mut database, "%ALTER TABLE links ADD COLUMN%", 1).await;
    let waits = |migrator: &Migrator| migrator.said().contains("another migrator is at work");
    let deadline = Instant::now() + BOUND;
    while !migrators.iter().any(waits) {
        assert!(Instant::now() < deadline, "none says that it waits");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(migrators.iter().filter(|migrator| waits(migrator)).count(), 1);
    statements(&mut database, "%ALTER TABLE links ADD COLUMN%", 1).await;
    sqlx::raw_sql("COMMIT").execute(&mut blocking).await.expect("the lock is given up");
    for migrator in &mut migrators {
        assert_eq!(migrator.child.wait().expect("our child").code(), Some(0), "{}", migrator.said());
    }
    let applied = "SELECT version FROM _sqlx_migrations ORDER BY version";
    let applied: Vec<i64> = sqlx::query_scalar(applied).fetch_all(&mut database).await.expect("the table");
    assert_eq!(applied, [1, 2]);
    let said = migrators.iter().map(Migrator::said).collect::<String>();
    assert_eq!(said.matches("applied migration 2").count(), 1, "{said}");
}

/// A running `migrate` to release 2.
struct Migrator {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Migrator {
    fn start(url: &str) -> Self {
        let mut child = program("migrate", url, "2").stdout(Stdio::piped()).spawn().expect("the program");
        let mut log = child.stdout.take().expect("a pipe");
        let said: Arc<Mutex<String>> = Arc::default();
        let written = Arc::clone(&said);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = log.read(&mut part) {
                written.lock().expect("no panic").push_str(&String::from_utf8_lossy(&part[..length]));
            }
        });
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }
}

#[tokio::test]
async fn a_replica_on_a_schema_that_is_too_old_ends_at_once_and_says_what_it_lacks() {
    let postgres = Postgres::shared();
    let url = database(&postgres).await;
    for (applied, lacks) in [(None, "migration 1 (links) and 2 more"), (Some("2"), "migration 3 (target only)")] {
        if let Some(release) = applied {
            migrate(&url, release);
        }
        let (code, said) = ran(&program("run", &url, "3").output().expect("the program"));
        println!("{}", said.lines().last().unwrap_or_default());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("the schema is too old: {lacks} must be applied first")), "{said}");
        // It did not wait for lifecycle.start_timeout.
        assert!(!said.contains("start_timeout") && !said.contains("it is retried"), "{said}");
    }
}

#[tokio::test]
async fn a_replica_on_a_schema_that_is_newer_serves_and_its_migrate_has_nothing_to_do() {
    let postgres = Postgres::shared();
    let url = database(&postgres).await;
    migrate(&url, "2");
    let service = started(&url, &[("APP__APP__RELEASE", "1")]).await.expect("it starts");
    service.wait_for_log("the schema is newer than this version of the service").await;
    assert_eq!(service.get("/visit").await.status, 200);
    migrate(&url, "1");
}

#[tokio::test]
async fn a_migration_that_was_changed_ends_the_start() {
    let postgres = Postgres::shared();
    let url = database(&postgres).await;
    migrate(&url, "1");
    let mut database = connect(&postgres, &url).await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = ''").execute(&mut database).await.expect("its row");
    let error = started(&url, &[("APP__APP__RELEASE", "1")]).await.expect_err("it was changed");
    assert!(error.contains("migration 1 (links) was changed after it was applied"), "{error}");
}

#[tokio::test]
async fn a_migrate_that_cannot_ends_with_one_and_the_reason() {
    let postgres = Postgres::shared();
    let url = database(&postgres).await;
    let mut database = connect(&postgres, &url).await;
    sqlx::query("CREATE TABLE links ()").execute(&mut database).await.expect("a table in the way");
    let nobody = tempfile::tempdir().expect("a temporary directory");
    let away = format!("postgres://tests@localhost/nothing?host={}", nobody.path().display());
    for (url, reason) in [(&*url, "relation \\\"links\\\" already exists"), (&*away, "No such file or directory")] {
        let (code, said) = ran(&program("migrate", url, "1").output().expect("the program"));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("migrating database: ") && said.contains(reason), "{reason}: {said}");
    }
}

#[test]
fn a_service_without_migrations_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_sample")).arg("migrate").env_clear().output().expect("the program");
    let (code, said) = ran(&output);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the service has registered no migration"), "{said}");
}
