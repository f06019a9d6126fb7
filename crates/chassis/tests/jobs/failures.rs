//! Attempts that fail, dead jobs, keys, and what is not added.

use std::time::{Duration, SystemTime};

use chassis::jobs::{EnqueueError, Enqueued, Options};
use serde_json::Value;

use crate::{
    fleet::Fleet,
    harness::{shared, tools},
};

#[tokio::test]
async fn a_job_is_dead_after_its_last_attempt_and_runs_again_when_it_is_requeued() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let replica = fleet.replica(&[("APP__APP__JOBS__MAX_ATTEMPTS", "3")]).await;
    let three = || Options { max_attempts: Some(3), ..Options::default() };
    for kind in ["broken", "panics", "picky"] {
        fleet.add(kind, three()).await;
    }
    fleet.add("hopeless", three()).await;
    for (kind, attempts, error) in [
        ("broken", 3, "it is broken"),
        ("panics", 3, "the handler panicked"),
        ("picky", 3, "the payload does not fit: invalid type: null, expected u64"),
        ("hopeless", 1, "it is hopeless"),
    ] {
        fleet.job_becomes(kind, "dead").await;
        let (_, attempt, last_error) = fleet.job(kind).await;
        assert_eq!(attempt, attempts, "{kind}");
        assert!(last_error.starts_with(error), "{kind}: {last_error}");
    }
    assert_eq!(replica.lines_with(&["a job is dead"]), 4, "{}", replica.log());
    // As many as were counted a moment ago, on one of the replicas.
    replica.series_becomes("jobs_depth", "state=\"dead\"", 4.0).await;

    assert_eq!(fleet.jobs.requeue_dead(&fleet.database, "broken").await.expect("one"), 1);
    fleet.becomes("SELECT count(*) FROM chassis_jobs WHERE kind = 'broken' AND state = 'dead' AND fence = 6", 1).await;
}

#[tokio::test]
async fn a_key_makes_one_job_also_after_it_is_done() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let added = fleet.add("exact", Options::key("a")).await;
    assert!(matches!(added, Enqueued::Added(_)), "{added:?}");
    assert_eq!(fleet.add("exact", Options::key("a")).await, Enqueued::Duplicate);
    assert_ne!(fleet.add("keyed", Options::key("a")).await, Enqueued::Duplicate);
    let replica = fleet.replica(&[("APP__APP__JOBS__KEEP_DONE", "1h")]).await;
    fleet.job_becomes("exact", "done").await;
    assert_eq!(fleet.add("exact", Options::key("a")).await, Enqueued::Duplicate);
    drop(replica);
    // What was kept long enough is deleted, and the key is free.
    let _replica = fleet.replica(&[("APP__APP__JOBS__KEEP_DONE", "0s")]).await;
    fleet.becomes("SELECT count(*) FROM chassis_jobs", 0).await;
    assert_ne!(fleet.add("exact", Options::key("a")).await, Enqueued::Duplicate);
}

#[tokio::test]
async fn a_job_without_a_key_leaves_nothing_and_gets_its_number_as_key() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let Enqueued::Added(id) = fleet.add("exact", Options::default()).await else { panic!("no job") };
    let _replica = fleet.replica(&[]).await;
    fleet.becomes("SELECT count(*) FROM effects", 1).await;
    assert_eq!(fleet.number("SELECT count(*) FROM chassis_jobs").await, 0);
    assert_eq!(fleet.number("SELECT key::bigint FROM effects").await, id);
}

#[tokio::test]
async fn jobs_of_a_higher_priority_and_those_that_are_due_run_first() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let later = SystemTime::now() + Duration::from_hours(1);
    fleet.add("exact", Options { run_at: Some(later), priority: 9, ..Options::key("later") }).await;
    fleet.add("exact", Options::key("ordinary")).await;
    fleet.add("exact", Options { priority: 1, ..Options::key("high") }).await;
    let replica = fleet.replica(&[("APP__APP__JOBS__CONCURRENCY", "1")]).await;
    fleet.becomes("SELECT count(*) FROM effects", 2).await;
    let order: Vec<String> = sqlx::query_scalar("SELECT key FROM effects ORDER BY ctid")
        .fetch_all(&fleet.database)
        .await
        .expect("two effects");
    assert_eq!(order, ["high", "ordinary"]);
    replica.series_becomes("jobs_depth", "state=\"scheduled\"", 1.0).await;
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics_of_jobs() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let replica = fleet.replica(&[]).await;
    fleet.add("exact", Options::key("a")).await;
    replica.series_becomes("jobs_duration_seconds_count", "outcome=\"done\"", 1.0).await;
    let later = SystemTime::now() + Duration::from_hours(1);
    fleet.add("exact", Options { run_at: Some(later), ..Options::default() }).await;
    replica.series_becomes("jobs_depth", "state=\"scheduled\"", 1.0).await;
    let metrics = replica.admin("/metrics").await.text();
    let verdict = tools::run_with_input("promtool", &["check", "metrics"], &metrics).await;
    assert!(!verdict.text.contains("jobs_"), "{}", verdict.text);
    for name in ["jobs_depth", "jobs_duration_seconds", "jobs_oldest_ready_seconds"] {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "no {name} in:\n{metrics}");
    }
}

/// Jobs that hold a connection each must leave one that extends their leases.
#[tokio::test]
async fn as_many_jobs_as_connections_are_refused() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let output = fleet.refused(&[("APP__APP__JOBS__CONCURRENCY", "16")]).await;
    assert_eq!(output.code, 1, "{}", output.text);
    let reason = "its concurrency, 16, must be below the database's max_connections, 16";
    assert!(output.text.contains(reason), "{}", output.text);
}

#[tokio::test]
async fn a_replica_without_the_tables_of_the_queue_ends_and_names_the_migration() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    sqlx::raw_sql("DROP TABLE chassis_jobs_migrations").execute(&fleet.database).await.expect("its versions");
    let output = fleet.refused(&[]).await;
    assert_eq!(output.code, 1, "{}", output.text);
    assert!(output.text.contains("migration 1 (jobs) must be applied first; run `migrate`"), "{}", output.text);
}

#[tokio::test]
async fn a_kind_without_a_handler_is_not_added() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let added = fleet.jobs.enqueue(&fleet.database, "exat", &Value::Null, Options::default()).await;
    let error = added.expect_err("it is unknown");
    assert!(matches!(error, EnqueueError::UnknownKind(_)), "{error}");
    assert_eq!(error.to_string(), "there is no handler of jobs of the kind exat");
}
