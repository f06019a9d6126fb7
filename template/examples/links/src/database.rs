//! Postgres.
//!
//! Next: [`crate::jobs`].

use chassis::{
    Chassis,
    postgres::{Database, OpenError},
};
use sqlx::migrate::Migrator;

use crate::Settings;

static MIGRATIONS: Migrator = sqlx::migrate!();

pub(crate) fn open(settings: &Settings, chassis: &Chassis) -> Result<Database, OpenError> {
    Database::open(&settings.database, &MIGRATIONS, chassis)
}
