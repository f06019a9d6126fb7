//! The statements: claim, extend, complete, fail, hand back, take from the dead.
//!
//! Postgres's clock decides, so that the clocks of replicas need not agree. Rows are locked with `SKIP LOCKED`: nobody
//! waits for another's job. Every end of a job names its fence, which each claim raises: what an earlier holder says
//! changes nothing.
//!
//! Next: [`super::worker`].

use std::time::Duration;

use sqlx::{FromRow, PgExecutor, Row, postgres::PgRow};

use crate::postgres::Database;

/// A claim of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) id: i64,
    /// How often the job was claimed so far.
    pub(super) fence: i64,
    /// Whether it stays when it is done, for its key.
    pub(super) has_key: bool,
}

/// A job that was claimed.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) lease: Lease,
    pub(super) kind: String,
    pub(super) payload: String,
    pub(super) key: Option<String>,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) trace: Option<String>,
    /// Seconds since 1970.
    pub(super) run_at: f64,
}

impl FromRow<'_, PgRow> for Claimed {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let key: Option<String> = row.try_get("key")?;
        let number = |name| row.try_get::<i32, _>(name).map(i32::unsigned_abs);
        Ok(Self {
            lease: Lease { id: row.try_get("id")?, fence: row.try_get("fence")?, has_key: key.is_some() },
            kind: row.try_get("kind")?,
            payload: row.try_get("payload")?,
            key,
            attempt: number("attempt")?,
            max_attempts: number("max_attempts")?,
            trace: row.try_get("trace")?,
            run_at: row.try_get("run_at")?,
        })
    }
}

/// A span of time as what Postgres multiplies with a millisecond.
fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// At most `count` jobs that are due, those with the highest priority first.
pub(super) async fn claim(
    database: &Database,
    kinds: &[&str],
    worker: &str,
    count: usize,
    lease: Duration,
) -> sqlx::Result<Vec<Claimed>> {
    // Materialized: as a subquery it could be run once more, and lock more rows than it returns.
    let claim = "WITH due AS MATERIALIZED (
            SELECT id FROM chassis_jobs WHERE state = 'ready' AND run_at <= now() AND kind = ANY($1)
            ORDER BY priority DESC, run_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        UPDATE chassis_jobs AS job SET state = 'running', attempt = attempt + 1, fence = fence + 1, worker = $3,
            lease_until = now() + $4 * interval '1 millisecond'
        FROM due WHERE job.id = due.id
        RETURNING job.id, fence, kind, payload::text, key, attempt, max_attempts, trace,
            extract(epoch FROM run_at)::float8 AS run_at";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let claim = sqlx::query_as(claim).bind(kinds).bind(count).bind(worker).bind(milliseconds(lease));
    claim.fetch_all(database).await
}

/// Extends leases; the numbers of the jobs whose lease was extended. A row that is locked is being ended.
pub(super) async fn extend(database: &Database, held: &[Lease], lease: Duration) -> sqlx::Result<Vec<i64>> {
    let extend = "WITH held AS MATERIALIZED (
            SELECT job.id FROM chassis_jobs AS job JOIN unnest($1::bigint[], $2::bigint[]) AS mine (id, fence)
                ON job.id = mine.id AND job.fence = mine.fence
            WHERE state = 'running' FOR UPDATE OF job SKIP LOCKED
        )
        UPDATE chassis_jobs AS job SET lease_until = now() + $3 * interval '1 millisecond'
        FROM held WHERE job.id = held.id RETURNING job.id";
    let (ids, fences): (Vec<i64>, Vec<i64>) = held.iter().map(|lease| (lease.id, lease.fence)).unzip();
    sqlx::query_scalar(extend).bind(ids).bind(fences).bind(milliseconds(lease)).fetch_all(database).await
}

/// The job is done; whether the lease still held.
pub(super) async fn complete(executor: impl PgExecutor<'_>, lease: Lease) -> sqlx::Result<bool> {
    let complete = if lease.has_key {
        "UPDATE chassis_jobs SET state = 'done', worker = NULL, lease_until = NULL, finished_at = now()
            WHERE id = $1 AND fence = $2 AND state = 'running'"
    } else {
        "DELETE FROM chassis_jobs WHERE id = $1 AND fence = $2 AND state = 'running'"
    };
    let completed = sqlx::query(complete).bind(lease.id).bind(lease.fence).execute(executor).await?;
    Ok(completed.rows_affected() > 0)
}

/// The job runs again after `pause`, or is dead without one; whether the lease still held.
pub(super) async fn fail(
    database: &Database,
    lease: Lease,
    pause: Option<Duration>,
    reason: &str,
) -> sqlx::Result<bool> {
    let fail = "UPDATE chassis_jobs SET state = CASE WHEN $3 THEN 'dead' ELSE 'ready' END,
            run_at = now() + $4 * interval '1 millisecond', finished_at = CASE WHEN $3 THEN now() END,
            last_error = $5, worker = NULL, lease_until = NULL
        WHERE id = $1 AND fence = $2 AND state = 'running'";
    let fail = sqlx::query(fail).bind(lease.id).bind(lease.fence);
    let fail = fail.bind(pause.is_none()).bind(milliseconds(pause.unwrap_or_default())).bind(reason);
    Ok(fail.execute(database).await?.rows_affected() > 0)
}

/// The job is ready again as if it had not been claimed; whether the lease still held.
pub(super) async fn hand_back(database: &Database, lease: Lease) -> sqlx::Result<bool> {
    let hand_back = "UPDATE chassis_jobs SET state = 'ready', attempt = attempt - 1, worker = NULL, lease_until = NULL
        WHERE id = $1 AND fence = $2 AND state = 'running'";
    let hand_back = sqlx::query(hand_back).bind(lease.id).bind(lease.fence);
    Ok(hand_back.execute(database).await?.rows_affected() > 0)
}

/// Jobs whose replica died are ready again, or dead after their last attempt; how many.
pub(super) async fn reclaim(database: &Database) -> sqlx::Result<u64> {
    let reclaim = "WITH lost AS MATERIALIZED (
            SELECT id FROM chassis_jobs WHERE state = 'running' AND lease_until < now() FOR UPDATE SKIP LOCKED
        )
        UPDATE chassis_jobs AS job SET state = CASE WHEN attempt >= max_attempts THEN 'dead' ELSE 'ready' END,
            finished_at = CASE WHEN attempt >= max_attempts THEN now() END,
            last_error = 'the replica ' || worker || ' gave no sign of life until its lease ended',
            worker = NULL, lease_until = NULL
        FROM lost WHERE job.id = lost.id";
    Ok(sqlx::query(reclaim).execute(database).await?.rows_affected())
}

/// 1,000: a statement of milliseconds, so that it holds up nobody.
const DELETED_AT_ONCE: u64 = 1000;

/// Deletes what was done `keep` ago.
pub(super) async fn delete_done(database: &Database, keep: Duration) -> sqlx::Result<()> {
    let delete = "DELETE FROM chassis_jobs WHERE id = ANY(ARRAY(
            SELECT id FROM chassis_jobs WHERE state = 'done' AND finished_at < now() - $1 * interval '1 millisecond'
            ORDER BY finished_at LIMIT 1000 FOR UPDATE SKIP LOCKED))";
    while sqlx::query(delete).bind(milliseconds(keep)).execute(database).await?.rows_affected() == DELETED_AT_ONCE {}
    Ok(())
}

/// Dead jobs of `kind` are ready again, with all attempts before them; how many.
pub(super) async fn requeue_dead(executor: impl PgExecutor<'_>, kind: &str) -> sqlx::Result<u64> {
    let requeue = "UPDATE chassis_jobs SET state = 'ready', attempt = 0, run_at = now(), finished_at = NULL
        WHERE state = 'dead' AND kind = $1";
    Ok(sqlx::query(requeue).bind(kind).execute(executor).await?.rows_affected())
}

/// How many jobs of a kind are in a state.
#[derive(Debug)]
pub(super) struct Depth {
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) count: i64,
    /// How long the oldest has been due, in seconds; 0 in other states than `ready`.
    pub(super) oldest: f64,
}

/// Read from the partial indexes: what is done, which may be most of the table, is not counted.
pub(super) async fn depths(database: &Database) -> sqlx::Result<Vec<Depth>> {
    let depths = "SELECT kind, CASE WHEN run_at > now() THEN 'scheduled' ELSE 'ready' END AS state, count(*),
            greatest(extract(epoch FROM now() - min(run_at)), 0)::float8 AS oldest
            FROM chassis_jobs WHERE state = 'ready' GROUP BY 1, 2
        UNION ALL SELECT kind, 'running', count(*), 0 FROM chassis_jobs WHERE state = 'running' GROUP BY 1
        UNION ALL SELECT kind, 'dead', count(*), 0 FROM chassis_jobs WHERE state = 'dead' GROUP BY 1";
    let rows: Vec<(String, String, i64, f64)> = sqlx::query_as(depths).fetch_all(database).await?;
    Ok(rows.into_iter().map(|(kind, state, count, oldest)| Depth { kind, state, count, oldest }).collect())
}
