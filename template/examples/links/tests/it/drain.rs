//! The end: requests are answered first, then the purge ends, then the pool is closed.

use std::time::{Duration, Instant};

use chassis::testing::{Load, Service};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    postgres::Postgres,
    service::{keyed, on, start},
};

/// A purge begins each second.
const OFTEN: (&str, &str) = ("APP__APP__PURGE", "* * * * * *");

/// Waits until a purge waits for the table's lock.
async fn purge_waits(database: &mut PgConnection) {
    let select = "SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%' AND datname = current_database()";
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(select).fetch_one(&mut *database).await.expect("an answer") == 0 {
        assert!(Instant::now() < deadline, "no purge waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A service whose purge waits for a lock, which the connection holds.
async fn purging(postgres: &Postgres, drain_timeout: &str) -> (Service, PgConnection) {
    let more = [
        OFTEN,
        ("APP__LIFECYCLE__DRAIN_TIMEOUT", drain_timeout),
        // No more than the drain may take.
        ("APP__SERVER__REQUEST_TIMEOUT", "1s"),
    ];
    let (service, name) = start(postgres, &more).await;
    let mut database = postgres.connect(&name).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE links IN ACCESS EXCLUSIVE MODE").execute(&mut database).await.expect("a lock");
    purge_waits(&mut postgres.connect(&name).await).await;
    (service, database)
}

#[tokio::test]
async fn a_purge_that_needs_three_seconds_more_is_awaited() {
    let postgres = Postgres::shared();
    let (service, mut database) = purging(&postgres, "20s").await;
    let began = Instant::now();
    service.drain();
    let release = sqlx::raw_sql("SELECT pg_sleep(3); COMMIT").execute(&mut database);
    let (released, code) = tokio::join!(release, service.exit_code());
    released.expect("the lock is given up");
    println!("ended {:?} after SIGTERM with code {code}", began.elapsed());
    assert_eq!(code, 0, "{}", service.log());
    assert!(began.elapsed() >= Duration::from_secs(3));
    database.close().await.expect("it is open");
}

#[tokio::test]
async fn a_purge_that_hangs_is_handed_back() {
    let postgres = Postgres::shared();
    let (service, _held) = purging(&postgres, "2s").await;
    service.drain();
    assert_eq!(service.exit_code().await, 0, "{}", service.log());
    let log = service.log();
    let back = log.lines().find(|line| line.contains("a job was handed back"));
    println!("{}", back.unwrap_or_else(|| panic!("no line says so:\n{log}")));
}

#[tokio::test]
async fn links_that_have_expired_are_purged() {
    let postgres = Postgres::shared();
    let (service, name) = start(&postgres, &[OFTEN]).await;
    let made = keyed(service.post("/v1/links")).json(&json!({ "url": "http://a.example" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let mut database = postgres.connect(&name).await;
    sqlx::query("UPDATE links SET expires_at = now()").execute(&mut database).await.expect("its row");
    let deadline = Instant::now() + Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM links").fetch_one(&mut database).await.expect("a count")
        > 0
    {
        assert!(Instant::now() < deadline, "it is not purged");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing() {
    let postgres = Postgres::shared();
    let (first, name) = start(&postgres, &[SERVES]).await;
    let made: Value = keyed(first.post("/v1/links")).json(&json!({ "url": "http://a.example" })).await.json();
    let path = format!("/{}", made["slug"].as_str().expect("a text"));
    let mut old = vec![first, on(&postgres.url(&name), &[SERVES]).await, on(&postgres.url(&name), &[SERVES]).await];
    let mut answered = 0;
    for _ in 0..3 {
        let replica = old.remove(0);
        let load = Load::start(replica.app(), &path, 4);
        load.answers(100);
        let new = on(&postgres.url(&name), &[SERVES]).await;
        replica.drain();
        assert_eq!(replica.exit_code().await, 0, "{}", replica.log());
        let tally = load.tally();
        assert_eq!((tally.failed, tally.lost), (0, 0), "{tally:?}");
        answered += tally.answered;
        old.push(new);
    }
    println!("{answered} requests answered in three restarts, none lost");
    assert!(answered >= 300);
}

/// A balancer would take it out meanwhile.
const SERVES: (&str, &str) = ("APP__LIFECYCLE__DRAIN_DELAY", "500ms");
