//! One schedule, five replicas.

use crate::{fleet::Fleet, harness::shared};

/// Each instant is one row of `effects`, whose key has it.
const INSTANTS: &str = "SELECT count(DISTINCT key) FROM effects WHERE kind = 'tick'";

#[tokio::test]
async fn each_instant_of_a_schedule_runs_once_in_a_fleet_of_five() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let schedule = ("APP__APP__SCHEDULE", "*/2 * * * * *");
    let mut replicas = Vec::new();
    for _ in 0..5 {
        replicas.push(fleet.replica(&[schedule]).await);
    }
    let first = fleet.number(INSTANTS).await;
    fleet.becomes(&format!("SELECT (count(DISTINCT key) >= {first} + 5)::int::bigint FROM effects"), 1).await;
    let (runs, instants) = (fleet.number("SELECT count(*) FROM effects").await, fleet.number(INSTANTS).await);
    let attempts = fleet.number("SELECT count(*) FROM begun").await;
    println!("{instants} instants, {runs} runs, {attempts} attempts by 5 replicas");
    assert_eq!(runs, instants);
    let odd =
        "SELECT count(*) FROM effects WHERE extract(second FROM split_part(key, '@', 2)::timestamptz)::int % 2 <> 0";
    assert_eq!(fleet.number(odd).await, 0);
}

/// Of the instants that nobody was there for only the latest is made up for; a new schedule has missed none.
#[tokio::test]
async fn missed_instants_are_one_run_and_a_new_schedule_has_missed_none() {
    let _turn = shared().await;
    let fleet = Fleet::new().await;
    let schedule = ("APP__APP__SCHEDULE", "0 0 1 1 *");
    let replica = fleet.replica(&[schedule]).await;
    fleet.becomes("SELECT count(*) FROM chassis_jobs_cron", 1).await;
    drop(replica);
    assert_eq!(fleet.number("SELECT count(*) FROM chassis_jobs").await, 0);
    let missed = "UPDATE chassis_jobs_cron SET last_run = now() - interval '5 years'";
    sqlx::query(missed).execute(&fleet.database).await.expect("one row");
    let replicas = (fleet.replica(&[schedule]).await, fleet.replica(&[schedule]).await);
    fleet.becomes("SELECT count(*) FROM effects", 1).await;
    drop(replicas);
    // Another schedule of the same name: what it would have had before is not missed.
    let _replica = fleet.replica(&[("APP__APP__SCHEDULE", "0 0 2 1 *")]).await;
    fleet.becomes("SELECT count(*) FROM chassis_jobs_cron WHERE schedule = '0 0 2 1 *'", 1).await;
    assert_eq!(fleet.number("SELECT count(*) FROM begun").await, 1);
}
