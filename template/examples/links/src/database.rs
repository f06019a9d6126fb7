//! Postgres, and what is purged from it.
//!
//! Next: [`crate::links`].

use chassis::{
    Chassis,
    postgres::{Database, OpenError},
};
use sqlx::migrate::Migrator;

use crate::Settings;

static MIGRATIONS: Migrator = sqlx::migrate!();

pub(crate) fn open(settings: &Settings, chassis: &Chassis) -> Result<Database, OpenError> {
    let database = Database::open(&settings.database, &MIGRATIONS, chassis)?;
    let purged = database.clone();
    chassis.every("purge", settings.purge_every.get(), move || purge(purged.clone()));
    Ok(database)
}

async fn purge(database: Database) -> Result<(), sqlx::Error> {
    let purged = sqlx::query("DELETE FROM links WHERE expires_at <= now()").execute(&database).await?.rows_affected();
    tracing::debug!(purged, "links that had expired are deleted");
    Ok(())
}
