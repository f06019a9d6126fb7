//! The queue's own tables, migrated beside the app's and with a table of versions of their own.
//!
//! Next: [`crate::postgres`], the database.

use std::{borrow::Cow, sync::LazyLock};

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let first = include_str!("1_jobs.sql").into_sql_str();
    let first = Migration::new(1, Cow::Borrowed("jobs"), MigrationType::Simple, first, false);
    let mut migrations = Migrator::with_migrations(vec![first]);
    migrations.dangerous_set_table_name("chassis_jobs_migrations");
    migrations.set_ignore_missing(true);
    migrations
});

pub(super) fn migrations() -> &'static Migrator {
    &MIGRATIONS
}
