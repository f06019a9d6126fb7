//! Faults for drills.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chassis::config::Duration;

/// Settings `faults.*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long to stay unready after the start, for rollout drills.
    pub unready_for: Duration,
    /// How long after the start `/livez` begins to fail, for restart drills.
    pub fail_liveness_after: Option<Duration>,
}
