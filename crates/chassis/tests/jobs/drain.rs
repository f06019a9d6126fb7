//! What becomes of a job in flight when its replica ends.

use chassis::jobs::Options;
use nix::sys::signal::Signal;

use crate::{
    fleet::{BOUND, Fleet},
    harness::shared,
};

const BEGUN: &str = "SELECT count(*) FROM begun";
const EFFECTS: &str = "SELECT count(*) FROM effects";

#[tokio::test]
async fn a_job_in_flight_at_sigterm_ends() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let mut replica = fleet.replica(&[]).await;
    fleet.add("last", Options::key("a")).await;
    fleet.becomes(BEGUN, 1).await;
    // In the drain nothing is claimed.
    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.wait_exit(BOUND).await, 0, "{}", replica.log());
    assert_eq!((fleet.job("last").await.0.as_str(), fleet.number(EFFECTS).await), ("done", 1));
}

#[tokio::test]
async fn a_job_that_does_not_end_in_the_drain_is_handed_back_and_its_attempt_does_not_count() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    // A lease that outlasts the test: only what is handed back runs again.
    let long = ("APP__APP__JOBS__LEASE", "1h");
    let mut replica = fleet.replica(&[long]).await;
    for kind in ["hangs", "gives_up"] {
        fleet.add(kind, Options { max_attempts: Some(1), ..Options::default() }).await;
    }
    fleet.becomes(BEGUN, 2).await;
    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.wait_exit(BOUND).await, 0, "{}", replica.log());
    for kind in ["hangs", "gives_up"] {
        assert_eq!(fleet.job(kind).await, ("ready".to_owned(), 0, String::new()), "{kind}");
    }
    assert_eq!(replica.lines_with(&["a job was handed back"]), 2, "{}", replica.log());
    let _next = fleet.replica(&[long]).await;
    fleet.becomes(BEGUN, 4).await;
    assert_eq!(fleet.number("SELECT max(attempt)::bigint FROM begun").await, 1);
}

#[tokio::test]
async fn a_drain_claims_nothing() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let mut replica = fleet.replica(&[("APP__APP__JOBS__CONCURRENCY", "2")]).await;
    fleet.add("hangs", Options::default()).await;
    fleet.becomes(BEGUN, 1).await;
    replica.signal(Signal::SIGTERM);
    replica.logs("\"draining\"").await;
    fleet.add("exact", Options::key("a")).await;
    assert_eq!(replica.wait_exit(BOUND).await, 0, "{}", replica.log());
    assert_eq!((fleet.job("exact").await.0.as_str(), fleet.number(EFFECTS).await), ("ready", 0));
}

#[tokio::test]
async fn another_replica_takes_the_jobs_of_one_that_was_killed() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let mut killed = fleet.replica(&[]).await;
    fleet.add("held", Options::key("a")).await;
    fleet.becomes(BEGUN, 1).await;
    killed.signal(Signal::SIGKILL);
    killed.wait_exit(BOUND).await;
    let _other = fleet.replica(&[]).await;
    fleet.becomes("SELECT count(*) FROM begun WHERE attempt = 2", 1).await;
    sqlx::query("INSERT INTO released DEFAULT VALUES").execute(&fleet.database).await.expect("a row");
    fleet.job_becomes("held", "done").await;
    assert_eq!(fleet.number(EFFECTS).await, 1);
}

/// It is stopped in the middle of a job, another replica does the job, and then it goes on.
#[tokio::test]
async fn a_replica_that_lost_its_lease_completes_nothing() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let stopped = fleet.replica(&[]).await;
    fleet.add("held", Options::key("a")).await;
    fleet.becomes(BEGUN, 1).await;
    stopped.signal(Signal::SIGSTOP);
    let _other = fleet.replica(&[]).await;
    // Or more: on a busy machine the other one may lose its lease, too.
    fleet.becomes("SELECT least(count(*), 2) FROM begun", 2).await;
    sqlx::query("INSERT INTO released DEFAULT VALUES").execute(&fleet.database).await.expect("a row");
    fleet.job_becomes("held", "done").await;
    stopped.signal(Signal::SIGCONT);
    stopped.logs("the lease of a job was lost").await;
    fleet
        .becomes("SELECT least(count(*), 1) FROM refused WHERE reason LIKE 'the lease of this job was lost%'", 1)
        .await;
    assert_eq!(fleet.number(EFFECTS).await, 1);
}
