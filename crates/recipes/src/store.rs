//! Redis as a dependency shared by all replicas: one connection for all requests, bounds on every wait, a soft check.

use std::time::Duration;

use chassis::{
    Chassis,
    config::{SettingError, SettingErrors},
    health::{Check, DuplicateCheck, Kind},
    problem::Problem,
};
use redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tracing::warn;

/// Timeout of a Redis command: far below a request's deadline, since Redis responds in less than a millisecond.
const ANSWER: Duration = Duration::from_millis(500);

/// Why the store cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The URL is not a Redis URL, or the client cannot be created.
    #[error("app.redis_url: {0}")]
    Redis(#[from] RedisError),
    /// A health check's name is taken.
    #[error(transparent)]
    Check(#[from] DuplicateCheck),
    /// A metric's name is taken.
    #[error("registering a metric: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Validates a Redis URL: `redis://host:port/db`, or `unix:///path`.
pub fn check(url: &str, errors: &mut SettingErrors) {
    if let Err(error) = Client::open(url) {
        errors.push(SettingError::new("redis_url", format!("not a URL of Redis: {}", error.category())));
    }
}

/// A connection that is made at its first use, made again when it is lost, and watched by the check `redis`.
///
/// The check is soft: every replica shares this Redis, so removing all of them from the balancer would not help.
///
/// # Errors
/// If the URL is invalid or the check's name is taken. An unreachable Redis is not an error.
pub fn connect(url: &str, chassis: &Chassis) -> Result<ConnectionManager, StartError> {
    let bounds = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(ANSWER))
        .set_response_timeout(Some(ANSWER))
        // A request does not wait for an unreachable Redis; the next one retries.
        .set_number_of_retries(0);
    let store = ConnectionManager::new_lazy_with_config(Client::open(url)?, bounds)?;
    let probed = store.clone();
    let probe = move || {
        let mut store = probed.clone();
        async move { redis::cmd("PING").exec_async(&mut store).await.map_err(|error| error.to_string()) }
    };
    chassis.checks.register(Check::new("redis", Kind::Soft, probe).every(Duration::from_secs(1)))?;
    Ok(store)
}

/// 503 with `Retry-After`, and the cause in the log.
#[must_use]
pub fn unavailable(error: &RedisError) -> Problem {
    warn!(%error, "redis failed");
    Problem::unavailable(Duration::from_secs(1))
}
