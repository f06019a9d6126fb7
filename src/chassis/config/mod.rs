//! Settings: defaults, then files, then the environment.

mod types;

pub use types::{Auto, Duration, Secret, Size};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chassis::{admin, faults, lifecycle, overload, runtime, server, telemetry};

/// All settings of a service; `A` are the app's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, bound(deserialize = "A: Default + Deserialize<'de>"))]
#[schemars(bound = "A: Default + Serialize + JsonSchema")]
pub struct Settings<A> {
    /// The listener, its connections and their timeouts.
    pub server: server::Settings,
    /// Start, drain and stop.
    pub lifecycle: lifecycle::Settings,
    /// The admin listener: probes, metrics, live configuration.
    pub admin: admin::Settings,
    /// Admission: how much work is let in at once.
    pub overload: overload::Settings,
    /// Logs, metrics and traces.
    pub telemetry: telemetry::Settings,
    /// Threads.
    pub runtime: runtime::Settings,
    /// Faults for drills; off by default.
    pub faults: faults::Settings,
    /// The app's own settings.
    pub app: A,
}

/// Stub; the real one replaces it.
#[derive(Debug, Default)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, key: &str, message: impl Into<String>) {
        self.0.push((key.into(), message.into()));
    }

    /// Keys of those found.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).collect()
    }
}

/// Stub; the real one replaces it.
pub trait Check {
    /// Finds what the types cannot.
    fn check(&self, problems: &mut Problems);
}
