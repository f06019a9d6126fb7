//! A fleet that is restarted under load, by SIGTERM and by SIGKILL.

use std::time::Instant;

use chassis::jobs::{Enqueued, Options};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    fleet::{BOUND, Fleet},
    harness::{eventually, exclusive, number, server::Server},
};

/// One transaction of the app that adds them.
const AT_ONCE: u64 = 50;

/// Adds `count` jobs, half of each kind. Each third transaction adds its jobs once more, each fifth is rolled back first.
async fn load(fleet: &Fleet, count: u64) {
    for first in (0..count).step_by(usize::try_from(AT_ONCE).expect("a small number")) {
        let keys = first..(first + AT_ONCE).min(count);
        if first % (5 * AT_ONCE) == 0 {
            add(fleet, first..first + 1, "never-").await.rollback().await.expect("rolled back");
        }
        add(fleet, keys.clone(), "").await.commit().await.expect("committed");
        if first % (3 * AT_ONCE) == 0 {
            add(fleet, keys, "").await.commit().await.expect("committed");
        }
    }
}

async fn add(fleet: &Fleet, keys: std::ops::Range<u64>, prefix: &str) -> chassis::postgres::Transaction {
    let mut transaction = fleet.database.begin().await.expect("a transaction");
    for key in keys {
        let kind = if key % 2 == 0 { "exact" } else { "keyed" };
        let options = Options::key(format!("{prefix}{key}"));
        let added = fleet.jobs.enqueue(&mut *transaction, kind, &json!({ "number": key }), options).await;
        let _: Enqueued = added.expect("a job");
    }
    transaction
}

/// Replaces the oldest replica whenever a thirtieth of the jobs was done since, or a thousand. Returns how often, how often
/// by SIGKILL, and the replicas that run then: they have jobs to write as done.
async fn restart(fleet: &Fleet, count: u64) -> (u32, u32, Vec<Server>) {
    let step = i64::try_from(count / 30).expect("a small number").clamp(1, 1000);
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(fleet.replica(&[]).await);
    }
    let (mut restarts, mut kills) = (0, 0);
    let done = "SELECT count(*) FROM effects";
    let all = i64::try_from(count).expect("a small number");
    loop {
        let goal = (fleet.number(done).await + step).min(all);
        eventually("more jobs are done", BOUND, async || (fleet.number(done).await >= goal).then_some(())).await;
        if goal == all {
            return (restarts, kills, replicas);
        }
        let old: Server = replicas.remove(0);
        restarts += 1;
        kills += u32::from(end(old, restarts % 3 == 0).await);
        replicas.push(fleet.replica(&[]).await);
    }
}

async fn end(mut replica: Server, by_force: bool) -> bool {
    replica.signal(if by_force { Signal::SIGKILL } else { Signal::SIGTERM });
    let code = replica.wait_exit(BOUND).await;
    assert_eq!(code, if by_force { 137 } else { 0 }, "{}", replica.log());
    by_force
}

/// `JOBS=100000` for the full count.
#[tokio::test]
async fn rolling_restarts_lose_no_job_and_do_none_twice() {
    let _turn = exclusive().await;
    let count = number("JOBS", 3_000);
    let fleet = Fleet::new().await;
    let began = Instant::now();
    let ((), (restarts, kills, _replicas)) = tokio::join!(load(&fleet, count), restart(&fleet, count));
    let took = began.elapsed();
    // What was done and not yet written as done is done again.
    fleet.becomes("SELECT count(*) FROM chassis_jobs WHERE state <> 'done'", 0).await;
    let [effects, keys, attempts, never] = [
        "SELECT count(*) FROM effects",
        "SELECT count(DISTINCT (kind, key)) FROM effects",
        "SELECT count(*) FROM begun",
        "SELECT count(*) FROM begun WHERE key LIKE 'never%'",
    ];
    let (effects, keys) = (fleet.number(effects).await, fleet.number(keys).await);
    let (attempts, never) = (fleet.number(attempts).await, fleet.number(never).await);
    println!(
        "{count} jobs in {took:?}, {restarts} restarts, {kills} of them SIGKILL: {effects} effects of {keys} keys, {attempts} attempts"
    );
    let count = i64::try_from(count).expect("a small number");
    assert_eq!((effects, keys, never), (count, count, 0));
    assert!(attempts >= count);
    assert!(restarts >= 6 && kills >= 2, "{restarts} restarts, {kills} kills");
}
