//! What the chassis hands to the app at start.
//!
//! The app takes from here what its routes need and passes it on by value; nothing in it is global. It holds no
//! settings: those of the app come beside it, and the others are not the app's business.
//!
//! Next: [`super::router`].

use std::{fmt, sync::Arc, time::Instant};

use crate::chassis::{health, lifecycle, telemetry};

/// The chassis as the app sees it.
#[derive(Clone, Debug)]
pub struct Chassis {
    /// Where the app's own metrics join those of `/metrics`.
    pub registry: prometheus::Registry,
    /// Where the app registers its dependencies.
    pub checks: health::Checks,
    /// Tells streams and long polls that the replica leaves.
    pub drain: lifecycle::Drain,
    /// Carries the trace to upstreams.
    pub propagation: telemetry::Propagation,
    /// Who this replica is.
    pub identity: Identity,
    /// How many requests it has answered.
    pub requests_served: RequestsServed,
}

/// Who this replica is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `POD_NAME`, else `HOSTNAME`, else the host's name.
    pub replica: String,
    /// The zone that it runs in, where the platform tells.
    pub zone: Option<String>,
    /// The service's version.
    pub version: &'static str,
    /// When the process began.
    pub started: Instant,
}

/// The number of requests answered since the start.
#[derive(Clone)]
pub struct RequestsServed(Arc<dyn Fn() -> u64 + Send + Sync>);

impl RequestsServed {
    /// Reads the number by `read`, which is cheap and never blocks.
    pub fn new(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for RequestsServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestsServed").field(&self.get()).finish()
    }
}
