//! The admin listener.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings `admin.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the admin listener. Never expose it beyond the cluster.
    pub listen: String,
    /// Allows `PUT /log-filter` and `PUT /faults`.
    pub mutable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { listen: "[::]:8081".into(), mutable: false }
    }
}
