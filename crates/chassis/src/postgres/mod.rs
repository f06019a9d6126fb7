//! A Postgres database behind a service: sqlx's pool, kept to what a replica promises.
//!
//! - A wait for a connection happens inside the handler, so admission sees it as latency and lowers the route's limit.
//! - A statement gets what is left of its request's deadline, and ends with its request (`session`).
//! - A database that is away is asked by one attempt at a time, and requests for it are refused at once (`gate`).
//! - The schema changes by `migrate`, apart from replicas; a replica refuses one that is too old (`schema`).
//!
//! ```no_run
//! use chassis::{Chassis, openapi::get, postgres::{self, Database}, problem::{Json, Problem}, router::Router};
//! use sqlx::migrate::Migrator;
//!
//! # static MIGRATIONS: Migrator = Migrator::DEFAULT;
//! // static MIGRATIONS: Migrator = sqlx::migrate!();
//!
//! async fn count(database: axum::extract::State<Database>) -> Result<Json<i64>, Problem> {
//!     Ok(Json(sqlx::query_scalar("SELECT count(*) FROM links").fetch_one(&*database).await?))
//! }
//!
//! async fn router(settings: &postgres::Settings, chassis: &Chassis) -> Result<Router, postgres::OpenError> {
//!     let database = Database::open(settings, &MIGRATIONS, chassis)?;
//!     Ok(Router::new().route("/count", get(count)).with_state(database))
//! }
//! ```
//!
//! It does not choose a query builder, and it does not retry a statement: only the app knows whether that is safe.
//!
//! Next: [`Settings`].

mod error;
mod executor;
mod gate;
mod metrics;
mod schema;
mod session;
mod settings;

pub use error::DatabaseError;
pub use settings::Settings;

/// Why [`Database::open`] failed.
pub use crate::replica::StartError as OpenError;

use std::{fmt, future, sync::Arc, time::Duration};

use sqlx::{PgPool, Postgres, migrate::Migrator, pool::PoolConnection, postgres::PgConnectOptions};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use self::{gate::Gate, metrics::Metrics};
use crate::{
    health::{Check, Kind},
    replica::Chassis,
};

/// A connection out of the pool; dropped, it goes back, or is closed where a statement still runs on it.
pub type Connection = PoolConnection<Postgres>;

/// A transaction; dropped, it is rolled back.
pub type Transaction = sqlx::Transaction<'static, Postgres>;

/// The name of the step, the check, the migration and the resource.
const NAME: &str = "database";
/// 5 s: a database that is lost while nobody asks shows soon, and costs each replica one small statement in it.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// 250 ms: where a connection takes longer to open, an attempt apart finds out why. The pool tries a server that refuses it
/// again and again, and says nothing.
const SLOW: Duration = Duration::from_millis(250);

/// A database; clones share its pool. As an [`Executor`](sqlx::Executor), `&database` takes a connection for each query.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    pool: PgPool,
    gate: Gate,
    metrics: Metrics,
    /// One at a time opens a connection.
    growth: Mutex<()>,
    settings: Settings,
}

impl Database {
    /// A database that connects when it is first used. Call it in the function that makes the routes, before what needs it:
    /// resources close in the reverse order. It registers:
    ///
    /// - the step `database` before the replica is ready: the database answers and the schema has all of `migrations`, or
    ///   with `migrate_at_start` gets them. A schema that is too old ends the start with code 1;
    /// - `migrations`, for the subcommand `migrate`;
    /// - the soft check `database`, the metrics `db_client_connection_*`, and the end of the pool.
    ///
    /// # Errors
    /// When the URL cannot be used, or when there is a database already: its names would be taken.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(settings: &Settings, migrations: &'static Migrator, chassis: &Chassis) -> Result<Self, OpenError> {
        let wrong = |error: &dyn fmt::Display| OpenError::new("opening the database", error);
        let options = settings.options().map_err(|error| wrong(&format!("its URL {error}")))?;
        let options = session::options(options, &chassis.identity.service);
        let gate = Gate::new();
        let pool = session::pool(settings, &options, &gate);
        let metrics = Metrics::new(&chassis.registry, &pool).map_err(|error| wrong(&error))?;
        tokio::spawn(gate.clone().keep(pool.clone(), (*pool.connect_options()).clone()));
        let database =
            Self(Arc::new(Inner { pool, gate, metrics, growth: Mutex::default(), settings: settings.clone() }));
        let check = database.clone();
        let check = Check::new(NAME, Kind::Soft, move || check.clone().check()).every(CHECK_EVERY);
        let check = check.within(settings.acquire_timeout.get() + Duration::from_secs(1));
        chassis.checks.register(check).map_err(|error| wrong(&error))?;
        database.register(NAME, migrations, &options, chassis);
        let pool = database.0.pool.clone();
        chassis.on_shutdown(NAME, async move { pool.close().await });
        Ok(database)
    }

    /// One more schema in the same database, which the engine brings: checked and migrated as the app's.
    #[cfg(feature = "jobs")]
    pub(crate) fn also(&self, name: &'static str, migrations: &'static Migrator, chassis: &Chassis) {
        self.register(name, migrations, &self.0.pool.connect_options(), chassis);
    }

    fn register(
        &self,
        name: &'static str,
        migrations: &'static Migrator,
        options: &PgConnectOptions,
        chassis: &Chassis,
    ) {
        let (at_start, due) = (options.clone(), options.clone());
        let migrates = self.0.settings.migrate_at_start;
        chassis.before_ready_or_end(name, move || {
            let options = at_start.clone();
            async move {
                if migrates {
                    schema::migrate(migrations, &options).await
                } else {
                    schema::check(migrations, &options).await
                }
            }
        });
        chassis.on_migrate(name, move || async move { schema::migrate(migrations, &due).await });
    }

    /// A connection whose statements have what is left of the current request's deadline, and never more than
    /// `statement_timeout`. It costs one round trip.
    ///
    /// # Errors
    /// [`DatabaseError::Away`] at once while the database does not answer, [`DatabaseError::Exhausted`] after
    /// `acquire_timeout`, [`DatabaseError::Deadline`] when the request's deadline passes before.
    pub async fn acquire(&self) -> Result<Connection, DatabaseError> {
        let inner = &*self.0;
        let _wait = inner.metrics.wait();
        let patience = inner.settings.acquire_timeout.get();
        let left = session::left_of_request().unwrap_or(patience);
        match timeout(patience.min(left), inner.checkout()).await {
            Ok(Err(DatabaseError::Exhausted)) | Err(_) => {
                inner.metrics.timeouts.inc();
                Err(inner.late(left < patience))
            }
            Ok(result) => result,
        }
    }

    /// A transaction on a connection of its own, as [`acquire`](Self::acquire) gives it.
    ///
    /// # Errors
    /// As of [`acquire`](Self::acquire), and when the transaction does not begin.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        let connection = self.acquire().await?;
        Ok(Transaction::begin(connection, None).await?)
    }

    /// sqlx's own pool, for crates that want one. Its connections are bounded as those of [`acquire`](Self::acquire), and
    /// fail at once while the database is away; but many waiting callers may open connections at once.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// A pool that is full is in use, so the database is there.
    async fn check(self) -> Result<(), String> {
        match self.acquire().await {
            Ok(_) | Err(DatabaseError::Exhausted) => Ok(()),
            Err(DatabaseError::Away(reason)) => Err(reason.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Inner {
    async fn checkout(&self) -> Result<Connection, DatabaseError> {
        if let Err(reason) = self.gate.verdict().await {
            return self.survivor().await.ok_or(DatabaseError::Away(reason));
        }
        let grows = || self.pool.num_idle() == 0 && self.pool.size() < self.settings.max_connections;
        let turn = if grows() { Some(self.growth.lock().await) } else { None };
        // While it waited, a connection may have come back: then the turn is another's.
        let turn = turn.filter(|_| grows());
        let doubted = async {
            sleep(SLOW).await;
            if turn.is_some() {
                self.gate.doubt();
            }
            future::pending().await
        };
        let acquired = tokio::select! { acquired = self.pool.acquire() => acquired, never = doubted => never };
        acquired.map_err(|error| {
            let error = error::of_pool(error, self.gate.away());
            if matches!(error, DatabaseError::Away(_)) {
                self.gate.doubt();
            }
            error
        })
    }

    /// A connection that outlived the loss: a server may be too full for new ones, and serve those that it has.
    async fn survivor(&self) -> Option<Connection> {
        let mut idle = self.pool.try_acquire()?;
        if session::limit(&mut idle, self.settings.statement_timeout.get()).await.is_ok() {
            return Some(idle);
        }
        // Not given back: the pool would test it once more.
        drop(idle.detach());
        None
    }

    /// Why no connection came in time.
    fn late(&self, by_deadline: bool) -> DatabaseError {
        match self.gate.away() {
            Some(reason) => DatabaseError::Away(reason),
            None if by_deadline => DatabaseError::Deadline,
            None if self.pool.size() < self.settings.max_connections => {
                // It was not full, so a connection did not open.
                self.gate.doubt();
                DatabaseError::Away("a connection did not open in time".into())
            }
            None => DatabaseError::Exhausted,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("gate", &self.0.gate).finish_non_exhaustive()
    }
}
