//! Threads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chassis::config::Auto;

/// Settings `runtime.*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Threads of the I/O runtime; `auto` follows the CPU quota.
    pub worker_threads: Auto<usize>,
    /// Threads of the work runtime, for routes marked CPU-bound; `auto` follows the CPU quota.
    pub work_threads: Auto<usize>,
}
