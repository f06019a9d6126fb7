//! Postgres: connected when it is first used, migrated before the replica is ready, purged while it runs, and left last.
//!
//! Next: [`crate::links`].

use std::{io::ErrorKind, time::Duration};

use chassis::Chassis;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::Settings;

/// 2 s: a request that waits longer for a connection is better tried again.
const PATIENCE: Duration = Duration::from_secs(2);

static MIGRATIONS: Migrator = sqlx::migrate!();

pub(crate) fn open(settings: &Settings, chassis: &Chassis) -> Result<PgPool, sqlx::Error> {
    let options: PgConnectOptions = settings.database_url.expose().parse()?;
    let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(PATIENCE);
    let pool = pool.connect_lazy_with(options);
    let (migrated, purged, closed) = (pool.clone(), pool.clone(), pool.clone());
    chassis.before_ready("database", move || migrate(migrated.clone()));
    chassis.every("purge", settings.purge_every.get(), move || purge(purged.clone()));
    chassis.on_shutdown("database", async move { closed.close().await });
    Ok(pool)
}

async fn migrate(database: PgPool) -> Result<(), sqlx::Error> {
    // The pool says "timed out" where the server refuses it; this says why. A step has no time limit of its own.
    let options = database.connect_options();
    let connected = timeout(PATIENCE, PgConnection::connect_with(&options)).await;
    connected.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??.close().await?;
    Ok(MIGRATIONS.run(&database).await?)
}

async fn purge(database: PgPool) -> Result<(), sqlx::Error> {
    let purged = sqlx::query("DELETE FROM links WHERE expires_at <= now()").execute(&database).await?.rows_affected();
    tracing::debug!(purged, "links that had expired are deleted");
    Ok(())
}
