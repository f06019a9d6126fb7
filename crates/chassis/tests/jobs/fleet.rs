//! A queue in a database of the test's own, and replicas that work on it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use chassis::{
    Chassis,
    jobs::{self, Enqueued, Jobs, Options},
    postgres::{self, Database},
    telemetry::Identity,
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, migrate::Migrator};

use crate::{
    harness::{
        eventually,
        server::{self, SETTINGS, Server, example},
        tools,
    },
    postgres::Postgres,
};

/// How long anything may take on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_mins(1);

static NO_MIGRATIONS: Migrator = Migrator::DEFAULT;

/// Every kind of the program.
const KINDS: [&str; 11] =
    ["broken", "event", "exact", "gives_up", "hangs", "held", "hopeless", "keyed", "last", "panics", "picky"];

/// `effects` has no unique key, so that it shows what was done twice.
const TABLES: &str = "CREATE TABLE begun (kind text, key text, attempt integer);
    CREATE TABLE effects (kind text, key text);
    CREATE TABLE released ();
    CREATE TABLE refused (reason text)";

pub(crate) struct Fleet {
    pub(crate) jobs: Jobs,
    pub(crate) database: Database,
    url: String,
    /// It ends with the last test that uses it.
    _postgres: Arc<Postgres>,
}

impl Fleet {
    /// A queue without jobs and replicas.
    pub(crate) async fn new() -> Self {
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let (name, postgres) = (format!("jobs_{}", NAMES.fetch_add(1, Relaxed)), Postgres::shared());
        let url = postgres.database(&name).await;
        let mut connection = postgres.connect(&name).await;
        sqlx::raw_sql(TABLES).execute(&mut connection).await.expect("new tables");
        let chassis = Chassis::detached(Identity::default());
        let settings = postgres::Settings { url: url.as_str().into(), ..postgres::Settings::default() };
        let database = Database::open(&settings, &NO_MIGRATIONS, &chassis).expect("a URL");
        let jobs = Jobs::new(&database, &jobs::Settings { run: false, ..jobs::Settings::default() }, &chassis);
        let jobs = jobs.expect("new metrics");
        for kind in KINDS {
            jobs.handle(kind, |_, _: Value| async { Ok(()) });
        }
        let fleet = Self { jobs, database, url, _postgres: postgres };
        fleet.migrate().await;
        fleet
    }

    async fn migrate(&self) {
        let mut command = server::command(&example("jobs"), &SETTINGS);
        command.arg("migrate").env("APP__APP__DATABASE__URL", &self.url);
        let output = tools::output(command, "", BOUND).await;
        assert_eq!(output.code, 0, "{}", output.text);
    }

    /// A replica that is ready.
    pub(crate) async fn replica(&self, more: &[(&str, &str)]) -> Server {
        let all = [
            ("APP__APP__DATABASE__URL", self.url.as_str()),
            ("APP__APP__JOBS__CONCURRENCY", "8"),
            ("APP__APP__JOBS__POLL", "50ms"),
            ("APP__APP__JOBS__LEASE", "2s"),
            ("APP__APP__JOBS__FIRST_PAUSE", "10ms"),
            ("APP__LIFECYCLE__DRAIN_DELAY", "0s"),
        ];
        let settings: Vec<_> = all.into_iter().chain(more.iter().copied()).collect();
        Server::start_example("jobs", &settings).await
    }

    /// What a replica says that must not start.
    pub(crate) async fn refused(&self, more: &[(&str, &str)]) -> tools::Output {
        let mut command = server::command(&example("jobs"), &SETTINGS);
        command.env("APP__APP__DATABASE__URL", &self.url).envs(more.iter().copied());
        tools::output(command, "", BOUND).await
    }

    pub(crate) async fn add(&self, kind: &str, options: Options) -> Enqueued {
        self.jobs.enqueue(&self.database, kind, &Value::Null, options).await.expect("a job")
    }

    /// The number that `select` gives.
    pub(crate) async fn number(&self, select: &str) -> i64 {
        let count = sqlx::query_scalar(AssertSqlSafe(select.to_owned()));
        count.fetch_one(&self.database).await.unwrap_or_else(|error| panic!("{select}: {error}"))
    }

    /// Waits until `select` gives `number`.
    pub(crate) async fn becomes(&self, select: &str, number: i64) {
        let is = async || (self.number(select).await == number).then_some(());
        eventually(&format!("{select}: {number}"), BOUND, is).await;
    }

    /// State, attempt and last error of the only job of `kind`.
    pub(crate) async fn job(&self, kind: &str) -> (String, i32, String) {
        let select = "SELECT state, attempt, coalesce(last_error, '') FROM chassis_jobs WHERE kind = $1";
        sqlx::query_as(select).bind(kind).fetch_one(&self.database).await.expect("one job")
    }

    /// Waits until the only job of `kind` is in `state`.
    pub(crate) async fn job_becomes(&self, kind: &str, state: &str) {
        let is = async || (self.job(kind).await.0 == state).then_some(());
        eventually(&format!("{kind} is {state}"), BOUND, is).await;
    }
}
