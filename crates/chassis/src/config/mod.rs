//! Settings: built-in defaults, then `PORT`, files, and the environment.
//!
//! Each module owns the struct of its section; here they are composed, filled, checked against each other, shown and
//! reloaded. Unknown keys, wrong types and contradictions are all reported at once, with key and source and without
//! the value. It opens no socket and starts nothing.
//!
//! Next: [`load()`].

mod check;
pub mod cli;
mod content;
mod de;
mod mismatch;
mod file;
mod keys;
mod live;
mod load;
mod metrics;
mod otel;
mod otel_names;
mod port;
mod reference;
mod schema;
mod show;
mod value;
mod variables;

#[cfg(test)]
mod tests;

pub(crate) use live::{Live, Reload};
pub use load::{Loaded, Sources, load};
pub(crate) use metrics::Metrics;
pub use reference::reference;
pub use schema::schema;
pub(crate) use show::{redacted, render};

pub use crate::process::Environment;
pub use crate::values::{Auto, Check, Duration, Secret, SettingError, SettingErrors, Size};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{admin, faults, host, lifecycle, overload, runtime, server, telemetry, transports};

/// All settings of a service; `A` are the app's own.
// A field or a section with the mark `x-reloadable` takes effect without a restart. The schema, the reference, the
// overlay and the reload read the mark; `Replica::apply` takes the section over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, bound(deserialize = "A: Default + Deserialize<'de>"))]
#[schemars(bound = "A: Default + Serialize + JsonSchema")]
pub struct Settings<A> {
    /// The listener, its connections and their timeouts.
    pub server: server::Settings,
    /// HTTPS: certificates, clients' certificates, redirects.
    pub tls: transports::settings::Settings,
    /// Start, drain and stop.
    pub lifecycle: lifecycle::Settings,
    /// The admin listener: probes, metrics, live configuration.
    pub admin: admin::Settings,
    /// The agent check, for HAProxy.
    pub agent: admin::agent::Settings,
    /// Admission control: how many requests are processed at once.
    #[schemars(extend("x-reloadable" = true))]
    pub overload: overload::Settings,
    /// Logs, metrics and traces.
    pub telemetry: telemetry::Settings,
    /// Threads.
    pub runtime: runtime::Settings,
    /// Running on a host without a cluster.
    pub host: host::Settings,
    /// Faults for drills; off by default.
    #[schemars(extend("x-reloadable" = true))]
    pub faults: faults::Settings,
    /// The app's settings.
    pub app: A,
}

/// Requirements for an app's own settings, implemented for every type that meets them.
///
/// Every key needs a default (`#[serde(default, deny_unknown_fields)]`). Of a type's own error messages only those are
/// shown that contain no part of the value; `Error::invalid_value` with a good `expected` is always shown.
pub trait AppSettings:
    Default + Clone + Serialize + DeserializeOwned + JsonSchema + Check + PartialEq + Send + Sync + 'static
{
}

impl<A> AppSettings for A where
    A: Default + Clone + Serialize + DeserializeOwned + JsonSchema + Check + PartialEq + Send + Sync + 'static
{
}
