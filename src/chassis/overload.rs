//! Admission.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chassis::config::{Auto, Duration};

/// Settings `overload.*`. Reloadable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether admission is limited at all.
    pub enabled: bool,
    /// Requests in flight at most, for routes on the I/O runtime.
    pub max_in_flight: usize,
    /// Requests in flight at most, for routes on the work runtime; `auto` is four for each of its threads.
    pub work_max_in_flight: Auto<usize>,
    /// Requests that may wait for a place, in each pool.
    pub queue_length: usize,
    /// How long a request may wait for a place.
    pub queue_timeout: Duration,
    /// What a refusal tells the client to wait, with a jitter of half of it each way; at least a second on the wire.
    pub retry_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            // 2,048: above the concurrency that a replica reaches before its CPU is spent, and a bound on memory.
            max_in_flight: 2048,
            work_max_in_flight: Auto::Auto,
            queue_length: 256,
            queue_timeout: Duration::from_millis(50),
            retry_after: Duration::from_secs(2),
        }
    }
}
