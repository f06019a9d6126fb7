//! Start, drain and stop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chassis::config::Duration;

/// Settings `lifecycle.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long to keep serving after SIGTERM, while endpoints propagate; SIGINT skips it.
    pub drain_delay: Duration,
    /// How long requests in flight may take after that. At least `server.request_timeout`.
    pub drain_timeout: Duration,
    /// What the platform grants in all (terminationGracePeriodSeconds); a smaller one than the sum of the others is refused.
    pub grace_period: Option<Duration>,
    /// How long the last logs and spans may take to leave.
    pub flush_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // 5 s: half of the 10 s that `docker stop` grants; the other half is for requests in flight.
            drain_delay: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            grace_period: None,
            flush_timeout: Duration::from_secs(3),
        }
    }
}

/// Stub; the lead's replaces it.
#[derive(Clone, Debug, Default)]
pub struct Drain(tokio_util::sync::CancellationToken);

impl Drain {
    /// Resolves when the drain begins.
    pub async fn started(&self) {
        self.0.cancelled().await;
    }

    /// Whether it began.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_cancelled()
    }
}
