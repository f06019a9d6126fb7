//! The pool, and what each of its connections is told: how long a statement may take, and to end with its request.
//!
//! Postgres does not know that a client has stopped waiting: a statement whose request has ended runs on, and holds its
//! locks. Two bounds end it. `statement_timeout` is set when a connection is handed out, to what is left of the request's
//! deadline; it takes the round trip that a pool spends anyway to see whether the connection lives. And a connection that
//! is given back in mid-statement is closed, which the server sees within [`CHECK_INTERVAL`], as it looks for its client
//! while it works (Postgres 14 and later).
//!
//! Next: [`super::schema`].

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{Settings, gate::Gate};
use crate::request;

/// 250 ms: a statement that nobody waits for costs this much more at most; a look costs the server microseconds.
const CHECK_INTERVAL: &str = "250ms";
/// 100 ms: a rollback on its way, or the rest of a short answer, is cheaper to await than a new connection.
const GRACE: Duration = Duration::from_millis(100);
/// 1 s: a connection that takes longer to accept a setting reaches nobody.
const PATIENCE: Duration = Duration::from_secs(1);
/// 50 ms before the deadline, or a tenth of what is left: the statement then ends before the request, and its connection
/// goes on.
const MARGIN: Duration = Duration::from_millis(50);

/// What every connection has, also those that migrate.
pub(super) fn options(options: PgConnectOptions, application: &str) -> PgConnectOptions {
    let named = if options.get_application_name().is_some() { options } else { options.application_name(application) };
    named.options([("client_connection_check_interval", CHECK_INTERVAL)])
}

/// A pool that connects when it is first used.
pub(super) fn pool(settings: &Settings, options: &PgConnectOptions, gate: &Gate) -> PgPool {
    let longest = settings.statement_timeout.get();
    let (doubting, failing) = (gate.clone(), gate.clone());
    PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(settings.acquire_timeout.get())
        .max_lifetime(settings.max_connection_age.get())
        // `limit` asks it anyway.
        .test_before_acquire(false)
        .before_acquire(move |connection, _| {
            let gate = doubting.clone();
            Box::pin(async move {
                let is_alive = limit(connection, longest).await.is_ok();
                if !is_alive {
                    gate.doubt();
                    // The pool connects next: to the database, or nowhere.
                    let _ = gate.verdict().await;
                }
                Ok(is_alive)
            })
        })
        .after_connect(move |connection, _| Box::pin(limit(connection, longest)))
        .after_release(move |connection, _| {
            let gate = failing.clone();
            Box::pin(async move {
                match timeout(GRACE, connection.flush()).await {
                    Ok(Ok(())) => Ok(true),
                    Ok(Err(_)) => {
                        gate.doubt();
                        Ok(false)
                    }
                    // In mid-statement: closed, as nothing else ends it.
                    Err(_) => Ok(false),
                }
            })
        })
        .connect_lazy_with(options.clone().options([("statement_timeout", milliseconds(longest).to_string())]))
}

/// Bounds the statements to come by what is left of the current request, and by `longest`. An error means that the
/// connection is of no use.
pub(super) async fn limit(connection: &mut PgConnection, longest: Duration) -> Result<(), sqlx::Error> {
    let most = left_of_request().map_or(longest, |left| left.saturating_sub(MARGIN.min(left / 10)).min(longest));
    let set = AssertSqlSafe(format!("SET statement_timeout = {}", milliseconds(most)));
    match timeout(PATIENCE, connection.execute(set)).await {
        Ok(set) => set.map(drop),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// What is left of the current request's deadline; none outside a request, or without a deadline.
pub(super) fn left_of_request() -> Option<Duration> {
    let deadline = request::with_current(|current| current.and_then(|current| current.deadline))?;
    Some(deadline.saturating_duration_since(Instant::now()))
}

/// At least 1, as 0 is no bound at all; at most what Postgres takes.
fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bound_is_never_no_bound() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_micros(1999)), 1);
        assert_eq!(milliseconds(Duration::from_secs(30)), 30_000);
        assert_eq!(milliseconds(Duration::MAX), i32::MAX);
    }
}
