//! An app that runs jobs, and writes down what it did: the tests count it.

use std::{error::Error, process::ExitCode, time::Duration};

use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    jobs::{self, Job, JobError, Jobs, Webhook},
    postgres::{self, Database},
    router::Router,
    upstream::{self, Upstream, Upstreams},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::migrate::Migrator;

/// The tests make its tables.
static MIGRATIONS: Migrator = Migrator::DEFAULT;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    database: postgres::Settings,
    jobs: jobs::Settings,
    /// When `tick` runs.
    schedule: Option<String>,
    /// Where events go.
    receiver: Option<String>,
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        self.database.check("database", errors);
        self.jobs.check("jobs", errors);
    }
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let database = Database::open(&settings.database, &MIGRATIONS, chassis)?;
    let jobs = Jobs::new(&database, &settings.jobs, chassis)?;
    let with = |run: fn(Database, Job) -> Run| {
        let database = database.clone();
        move |job, _: Value| run(database.clone(), job)
    };
    jobs.handle("exact", with(|database, job| Box::pin(exact(database, job)) as Run));
    jobs.handle("keyed", with(|database, job| Box::pin(keyed(database, job)) as Run));
    jobs.handle("last", with(|database, job| Box::pin(last(database, job)) as Run));
    jobs.handle("hangs", with(|database, job| Box::pin(hangs(database, job)) as Run));
    jobs.handle("gives_up", with(|database, job| Box::pin(gives_up(database, job)) as Run));
    jobs.handle("held", with(|database, job| Box::pin(held(database, job)) as Run));
    jobs.handle("broken", |_, _: Value| async { Err(JobError::retry("it is broken")) });
    jobs.handle("hopeless", |_, _: Value| async { Err(JobError::permanent("it is hopeless")) });
    jobs.handle("panics", |_, _: Value| async { panic!("it panics") });
    jobs.handle("picky", |_, _: u64| async { Ok(()) });
    if let Some(schedule) = &settings.schedule {
        let database = database.clone();
        jobs.cron("tick", schedule, move |job| exact(database.clone(), job))?;
    }
    if let Some(url) = &settings.receiver {
        jobs.webhook("event", webhook(url, chassis)?);
    }
    Ok(Router::new())
}

type Run = std::pin::Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

fn webhook(url: &str, chassis: &Chassis) -> Result<Webhook, Box<dyn Error + Send + Sync>> {
    let upstreams = Upstreams::new(&chassis.registry, chassis.propagation.clone())?;
    let upstream: Upstream = upstreams.client("receiver", url, &upstream::Settings::default())?;
    Ok(Webhook { upstream, path: "/events".to_owned(), secret: Some("a-key-of-the-tests".into()) })
}

async fn begin(database: &Database, job: &Job) -> Result<(), JobError> {
    let begun = sqlx::query("INSERT INTO begun (kind, key, attempt) VALUES ($1, $2, $3)");
    let attempt = i32::try_from(job.attempt())?;
    begun.bind(job.kind()).bind(job.key()).bind(attempt).execute(database).await?;
    Ok(())
}

const EFFECT: &str = "INSERT INTO effects (kind, key) VALUES ($1, $2)";

/// Its effect and its end are one transaction.
async fn exact(database: Database, job: Job) -> Result<(), JobError> {
    begin(&database, &job).await?;
    let mut transaction = database.begin().await?;
    sqlx::query(EFFECT).bind(job.kind()).bind(job.key()).execute(&mut *transaction).await?;
    job.complete_in(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Its effect is under its key: it may begin twice, and is there once.
async fn keyed(database: Database, job: Job) -> Result<(), JobError> {
    begin(&database, &job).await?;
    let effect = "INSERT INTO effects (kind, key) SELECT $1, $2
        WHERE NOT EXISTS (SELECT FROM effects WHERE kind = $1 AND key = $2)";
    sqlx::query(effect).bind(job.kind()).bind(job.key()).execute(&database).await?;
    Ok(())
}

/// Ends in the drain.
async fn last(database: Database, job: Job) -> Result<(), JobError> {
    begin(&database, &job).await?;
    job.drain().started().await;
    sqlx::query(EFFECT).bind(job.kind()).bind(job.key()).execute(&database).await?;
    Ok(())
}

/// Never ends.
async fn hangs(database: Database, job: Job) -> Result<(), JobError> {
    begin(&database, &job).await?;
    std::future::pending().await
}

/// Gives up in the drain.
async fn gives_up(database: Database, job: Job) -> Result<(), JobError> {
    begin(&database, &job).await?;
    job.drain().started().await;
    Err(JobError::hand_back())
}

/// Ends when a test says so, in a task that goes on when its handler is dropped.
async fn held(database: Database, job: Job) -> Result<(), JobError> {
    begin(&database, &job).await?;
    tokio::spawn(finish(database, job)).await?
}

async fn finish(database: Database, job: Job) -> Result<(), JobError> {
    while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM released").fetch_one(&database).await? == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut transaction = database.begin().await?;
    sqlx::query(EFFECT).bind(job.kind()).bind(job.key()).execute(&mut *transaction).await?;
    if let Err(error) = job.complete_in(&mut *transaction).await {
        transaction.rollback().await?;
        sqlx::query("INSERT INTO refused VALUES ($1)").bind(error.to_string()).execute(&database).await?;
        return Err(error.into());
    }
    transaction.commit().await?;
    Ok(())
}
