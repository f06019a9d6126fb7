//! The identity of a replica in logs, traces and metrics.
//!
//! Next: [`super::resource`].

use serde::Serialize;

/// Who runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Identity {
    /// `service.name`, unless `OTEL_SERVICE_NAME` overrides it.
    pub service: String,
    /// `service.version`.
    pub version: String,
    /// The commit it was built from.
    #[serde(skip)]
    pub commit: String,
    /// The template's commit that it was created from or last updated to.
    #[serde(skip)]
    pub template_commit: String,
    /// `service.instance.id`: unique among the replicas.
    pub replica: String,
    /// The zone it runs in, if the platform provides it.
    pub zone: Option<String>,
}
