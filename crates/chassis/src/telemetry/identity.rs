//! Who a replica is, as logs, traces and metrics say it.
//!
//! Next: [`super::resource`].

use serde::Serialize;

/// Who runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Identity {
    /// `service.name`, where `OTEL_SERVICE_NAME` does not say otherwise.
    pub service: String,
    /// `service.version`.
    pub version: String,
    /// The commit it was built from.
    #[serde(skip)]
    pub commit: String,
    /// The commit of the template that it came from or was last brought up to.
    #[serde(skip)]
    pub template_commit: String,
    /// `service.instance.id`: this replica among its like.
    pub replica: String,
    /// The zone it runs in, where the platform tells.
    pub zone: Option<String>,
}
