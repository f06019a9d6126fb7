//! The schema: which migrations it has, and those that are due.
//!
//! Replicas only look. One that needs a migration which the schema lacks ends at once and names it, since no wait helps; one
//! that finds a migration it does not know serves, as a rollout by expand and contract has both versions at once.
//! `migrate` applies what is due, one migrator at a time.
//!
//! Next: [`super::metrics`].

use std::{fmt, time::Duration};

use sqlx::{
    Connection, PgConnection,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration, Migrator},
    postgres::PgConnectOptions,
};
use tokio::time::sleep;

use super::{error, gate};
use crate::lifecycle::Failure;

/// `chassis` in ASCII, and 1: the key of the migrators' advisory lock, which is of one database.
const LOCK: i64 = 0x6368_6173_7369_7301;
/// 200 ms between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(200);

/// Succeeds on a schema that has all of `migrator`, and maybe more.
pub(super) async fn check(migrator: &Migrator, options: &PgConnectOptions) -> Result<(), Failure> {
    let mut connection = gate::connect(options).await.map_err(Failure::retry)?;
    let applied = applied(migrator, &mut connection).await.map_err(failure)?;
    // What it says of the end says nothing of the schema.
    let _ = connection.close().await;
    let newer = compare(migrator, &applied).map_err(Failure::last)?;
    if let Some(version) = newer {
        tracing::info!(version, "the schema is newer than this version of the service: it has migration {version}");
    }
    Ok(())
}

/// Applies what `migrator` has and the schema lacks. Another migrator is awaited; what it has applied is not due any more.
pub(super) async fn migrate(migrator: &Migrator, options: &PgConnectOptions) -> Result<(), Failure> {
    // A migration takes as long as it takes; its own SQL may bound it.
    let options = options.clone().options([("statement_timeout", "0")]);
    let mut connection = gate::connect(&options).await.map_err(Failure::retry)?;
    lock(&mut connection).await.map_err(Failure::retry)?;
    let before = applied(migrator, &mut connection).await.map_err(failure)?;
    apply(migrator, &mut connection).await.map_err(failure)?;
    let due = ups(migrator).filter(|due| !before.iter().any(|applied| applied.version == due.version));
    for Migration { version, description, .. } in due {
        tracing::info!(version, %description, "applied migration {version}");
    }
    // With its session the lock ends.
    let _ = connection.close().await;
    Ok(())
}

/// Looks again and again: a migrator that waited inside `pg_advisory_lock` would hold a snapshot, for which `CREATE INDEX
/// CONCURRENTLY` of the other one waits in turn.
async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut is_said = false;
    loop {
        let locked = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
        if locked.fetch_one(&mut *connection).await? {
            return Ok(());
        }
        if !is_said {
            tracing::info!("another migrator is at work; waiting for it");
            is_said = true;
        }
        sleep(PAUSE).await;
    }
}

async fn apply(migrator: &Migrator, connection: &mut PgConnection) -> Result<(), MigrateError> {
    // As `migrator`, but content with migrations of a newer version.
    let mut known = Migrator::with_migrations(migrator.iter().cloned().collect());
    known.set_ignore_missing(true);
    known.dangerous_set_table_name(migrator.table_name.clone());
    for schema in &*migrator.create_schemas {
        known.create_schema(schema.clone());
    }
    known.run_direct(None, connection, false).await
}

async fn applied(migrator: &Migrator, connection: &mut PgConnection) -> Result<Vec<AppliedMigration>, MigrateError> {
    match connection.list_applied_migrations(&migrator.table_name).await {
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if is_absent(error.code().as_deref()) => {
            Ok(Vec::new())
        }
        applied => applied,
    }
}

/// `undefined_table`, and `invalid_schema_name` where the table is to be in a schema of its own.
fn is_absent(code: Option<&str>) -> bool {
    matches!(code, Some("42P01" | "3F000"))
}

/// The newest migration that `migrator` does not know; what is wrong with the schema otherwise.
fn compare(migrator: &Migrator, applied: &[AppliedMigration]) -> Result<Option<i64>, String> {
    let mut missing = Vec::new();
    for migration in ups(migrator) {
        match applied.iter().find(|applied| applied.version == migration.version) {
            None => missing.push(migration),
            Some(applied) if applied.checksum != migration.checksum => {
                return Err(format!("{} was changed after it was applied", name(migration)));
            }
            Some(_) => {}
        }
    }
    if let Some(first) = missing.first() {
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return Err(format!("the schema is too old: {}{more} must be applied first; run `migrate`", name(first)));
    }
    Ok(applied.iter().map(|applied| applied.version).filter(|version| !migrator.version_exists(*version)).max())
}

fn ups(migrator: &Migrator) -> impl Iterator<Item = &Migration> {
    migrator.iter().filter(|migration| !migration.migration_type.is_down_migration())
}

fn name(migration: &Migration) -> impl fmt::Display + use<'_> {
    format!("migration {} ({})", migration.version, migration.description)
}

/// A migration that is wrong stays wrong; a connection may come back, and a lock may be given up.
fn failure(error: MigrateError) -> Failure {
    match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) if passes(cause) => {
            Failure::retry(error)
        }
        _ => Failure::last(error),
    }
}

fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // `lock_not_available` and `deadlock_detected`.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| error::is_away(&code) || ["55P03", "40P01"].contains(&&*code))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{SqlSafeStr, migrate::MigrationType::Simple};

    use super::*;

    fn migrator(versions: &[i64]) -> Migrator {
        let migration =
            |version: &i64| Migration::new(*version, "links".into(), Simple, "SELECT 1".into_sql_str(), false);
        Migrator::with_migrations(versions.iter().map(migration).collect())
    }

    fn applied(versions: &[i64]) -> Vec<AppliedMigration> {
        let migrator = migrator(versions);
        let applied = |migration: &Migration| AppliedMigration {
            version: migration.version,
            checksum: migration.checksum.clone(),
        };
        migrator.iter().map(applied).collect()
    }

    #[test]
    fn a_schema_is_as_new_newer_or_too_old() {
        let compared = |known: &[i64], found: &[i64]| compare(&migrator(known), &applied(found));
        assert_eq!(compared(&[1, 2], &[1, 2]), Ok(None));
        assert_eq!(compared(&[1, 2], &[1, 2, 3, 4]), Ok(Some(4)));
        let old = compared(&[1, 2, 3], &[1]).expect_err("it lacks two");
        assert!(old.contains("migration 2 (links) and 1 more"), "{old}");
        let empty = compared(&[1], &[]).expect_err("it lacks one");
        assert!(empty.contains("migration 1 (links) must be applied first; run `migrate`"), "{empty}");
    }

    #[test]
    fn a_migration_that_was_changed_is_named() {
        let mut applied = applied(&[1]);
        applied[0].checksum = vec![0].into();
        let changed = compare(&migrator(&[1]), &applied).expect_err("another checksum");
        assert_eq!(changed, "migration 1 (links) was changed after it was applied");
    }
}
