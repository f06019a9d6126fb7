//! Jobs that survive a rollout: a queue in the app's own Postgres, schedules with one run in the fleet, events.
//!
//! A job is added in the app's transaction, and exists if and only if that commits. A replica claims it for a lease, which
//! it extends while the handler runs; if it dies, another one claims the job when the lease has ended. An attempt that fails
//! is repeated after a growing pause, and after the last one the job is dead: kept, with its error, until somebody acts. In
//! a drain no job is claimed, those in flight end, and what has not ended shortly before the deadline is handed back.
//!
//! A handler runs at least once; it is given a key that is the same in every attempt. An effect in the same database
//! happens once with [`Job::complete_in`].
//!
//! ```no_run
//! use chassis::{
//!     Chassis,
//!     jobs::{self, Job, JobError, Jobs, Options},
//!     postgres::Database,
//! };
//! # use std::error::Error;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Order {
//!     id: u64,
//! }
//!
//! async fn send_receipt(job: Job, order: Order) -> Result<(), JobError> {
//!     // The mail server knows the key, so that the receipt of an order is sent once.
//! #   let _ = (job.key(), order.id);
//!     Ok(())
//! }
//!
//! fn start(database: &Database, settings: &jobs::Settings, chassis: &Chassis) -> Result<Jobs, Box<dyn Error>> {
//!     let jobs = Jobs::new(database, settings, chassis)?;
//!     jobs.handle("receipt", send_receipt);
//!     let purged = database.clone();
//!     jobs.cron("purge", "0 3 * * *", move |_| purge(purged.clone()))?;
//!     Ok(jobs)
//! }
//!
//! async fn purge(database: Database) -> Result<(), JobError> {
//!     sqlx::query("DELETE FROM orders WHERE made_at < now() - interval '10 years'").execute(&database).await?;
//!     Ok(())
//! }
//!
//! async fn order(database: &Database, jobs: &Jobs, order: &Order) -> Result<(), Box<dyn Error>> {
//!     let mut transaction = database.begin().await?;
//!     // … insert the order, and in the same transaction:
//!     jobs.enqueue(&mut *transaction, "receipt", order, Options::key(format!("order-{}", order.id))).await?;
//!     transaction.commit().await?;
//!     Ok(())
//! }
//! ```
//!
//! Our own, and not a crate's, since the claim, the lease and the way back belong to the drain: see ARCHITECTURE.md.
//! Replicas look for jobs periodically: `NOTIFY` takes a lock of the whole database at each commit, and `LISTEN` a
//! connection for each replica.
//!
//! Next: [`enqueue`], how a job is added.

mod backoff;
mod cron;
mod enqueue;
mod error;
mod hold;
mod job;
mod metrics;
mod queue;
mod run;
mod schema;
mod settings;
mod upkeep;
mod webhook;
mod worker;

pub use cron::Schedule;
pub use enqueue::{Enqueued, Options};
pub use error::{CompleteError, EnqueueError, JobError, ScheduleError};
pub use job::Job;
pub use settings::Settings;
pub use webhook::Webhook;

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};

use serde::de::DeserializeOwned;

use self::metrics::Metrics;
use crate::{
    postgres::{Database, OpenError},
    replica::Chassis,
    tasks::Restart,
};

type Attempt = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;
type Handler = Arc<dyn Fn(Job, &str) -> Attempt + Send + Sync>;

/// The jobs of a service; clones share them.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    database: Database,
    settings: Settings,
    /// Of this process, in the column `worker`.
    name: String,
    metrics: Metrics,
    kinds: RwLock<BTreeMap<&'static str, Kind>>,
}

struct Kind {
    handler: Handler,
    schedule: Option<Schedule>,
}

impl Jobs {
    /// Registers the migration of the queue's tables, `chassis_jobs` and `chassis_jobs_cron`, the check that they are there,
    /// and, with `settings.run`, the tasks that run jobs once the replica is ready.
    ///
    /// # Errors
    /// When the registry has metrics of these names, as an app has one queue; or when as many jobs as connections may run:
    /// those that hold one each would leave none to extend their leases.
    pub fn new(database: &Database, settings: &Settings, chassis: &Chassis) -> Result<Self, OpenError> {
        let wrong = |error: &dyn fmt::Display| OpenError::new("opening the queue of jobs", error);
        let connections = database.pool().options().get_max_connections();
        if settings.run && settings.concurrency >= connections {
            let concurrency = settings.concurrency;
            return Err(wrong(&format!(
                "its concurrency, {concurrency}, must be below the database's max_connections, {connections}"
            )));
        }
        let jobs = Self(Arc::new(Inner {
            database: database.clone(),
            settings: settings.clone(),
            name: format!("{}-{}", chassis.identity.replica, std::process::id()),
            metrics: Metrics::new(&chassis.registry).map_err(|error| wrong(&error))?,
            kinds: RwLock::default(),
        }));
        database.also("jobs", schema::migrations(), chassis);
        if settings.run {
            jobs.start(chassis);
        }
        Ok(jobs)
    }

    fn start(&self, chassis: &Chassis) {
        let (worker, planner, upkeep) = (self.0.clone(), self.0.clone(), self.0.clone());
        chassis.supervise("jobs", Restart::Always, move |drain| worker::run(Arc::clone(&worker), drain));
        chassis.supervise("jobs_cron", Restart::OnFailure, move |drain| cron::run(Arc::clone(&planner), drain));
        chassis.every("jobs_upkeep", upkeep::period(&self.0.settings), move || upkeep::run(Arc::clone(&upkeep)));
    }

    /// Registers the handler of the jobs of `kind`; the payload is what was added, read from JSON. A payload that cannot be
    /// read is a failed attempt like any other: in a rollout a newer replica may know its shape.
    ///
    /// # Panics
    /// When the kind has a handler already.
    pub fn handle<P, F>(&self, kind: &'static str, handler: impl Fn(Job, P) -> F + Send + Sync + 'static)
    where
        P: DeserializeOwned,
        F: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let handler = move |job, payload: &str| -> Attempt {
            match read(payload) {
                Ok(payload) => Box::pin(handler(job, payload)),
                Err(error) => Box::pin(async move { Err(error) }),
            }
        };
        self.0.register(kind, Kind { handler: Arc::new(handler), schedule: None });
    }

    /// Runs `handler` at each instant of `schedule`, in UTC, on one replica of the fleet: the instants of a schedule are
    /// rows of the database, and the first replica that makes one a job is the only one. While no replica ran, only the
    /// latest instant is made up for. Runs of one schedule may overlap where one takes longer than its period.
    ///
    /// `schedule` has five fields, `minute hour day month weekday`, or six with the seconds before them.
    ///
    /// # Errors
    /// When the text is no schedule, or one that never comes.
    ///
    /// # Panics
    /// When the name has a handler already: names and kinds are one namespace.
    pub fn cron<F>(
        &self,
        name: &'static str,
        schedule: &str,
        handler: impl Fn(Job) -> F + Send + Sync + 'static,
    ) -> Result<(), ScheduleError>
    where
        F: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let schedule = Some(Schedule::parse(schedule)?);
        let handler = move |job, _: &str| -> Attempt { Box::pin(handler(job)) };
        self.0.register(name, Kind { handler: Arc::new(handler), schedule });
        Ok(())
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Jobs").field(&self.0.names()).finish()
    }
}

fn read<P: DeserializeOwned>(payload: &str) -> Result<P, JobError> {
    let read = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(payload));
    read.map_err(|error| JobError::retry(format!("the payload does not fit: {error}")))
}

impl Inner {
    fn register(&self, name: &'static str, kind: Kind) {
        self.metrics.announce(name);
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        assert!(kinds.insert(name, kind).is_none(), "the jobs of the kind {name} have a handler already");
    }

    fn knows(&self, kind: &str) -> bool {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).contains_key(kind)
    }

    fn names(&self) -> Vec<&'static str> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The handler of `kind`, and its name as a label.
    fn handler(&self, kind: &str) -> Option<(&'static str, Handler)> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get_key_value(kind).map(|(name, kind)| (*name, Arc::clone(&kind.handler)))
    }
}
