//! Calls to other services, over HTTP and, with the cargo feature `tls`, over https.
//!
//! A call never outlives its request: its deadline is the smaller of its own timeout and the time the request
//! has left, it covers the body, and the rest is sent as `x-request-timeout`. Only idempotent methods are tried
//! again, within a budget, so that a failing upstream meets 20 % more calls and not three times as many. An upstream
//! that keeps failing is not called for a while (circuit breaker). Connections are renewed, so that new replicas get
//! their share.
//!
//! Inside a cluster a mesh encrypts the traffic between services; https is for those
//! outside of it. They get the headers of a call, too: the request id, what is left of the deadline, the trace.
//!
//! Next: `call`, one call from start to end.

mod breaker;
mod call;
mod connect;
mod credentials;
pub(crate) mod endpoint;
mod error;
mod interim;
mod json;
mod metrics;
mod pool;
pub(crate) mod renewal;
mod settings;
mod target;

pub use credentials::{Credentials, CredentialsSettings};
pub use error::UpstreamError;
pub use settings::Settings;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use prometheus::Registry;
use tower::retry::budget::TpsBudget;

use self::{breaker::Breaker, metrics::Metrics, pool::Pool, target::Target};
use crate::telemetry::Propagation;

/// Makes clients that share their metrics; clones share them too.
#[derive(Clone, Debug)]
pub struct Upstreams {
    metrics: Metrics,
    propagation: Propagation,
}

impl Upstreams {
    /// Adds the metrics `upstream_*` to `registry`, once for all upstreams.
    ///
    /// # Errors
    /// When the registry has metrics of these names.
    pub fn new(registry: &Registry, propagation: Propagation) -> prometheus::Result<Self> {
        Ok(Self { metrics: Metrics::new(registry)?, propagation })
    }

    /// A client for the service at `base_url`, such as `http://rates:8080`; `name` is its label in metrics and spans.
    ///
    /// # Errors
    /// [`UpstreamError::InvalidUrl`] when the URL is not http, or https in a build with the feature `tls`, or holds
    /// credentials or a query. [`UpstreamError::CaFile`] and [`UpstreamError::ClientCertificate`] when a file cannot be used.
    pub fn client(&self, name: &'static str, base_url: &str, settings: &Settings) -> Result<Upstream, UpstreamError> {
        let inner = Arc::new(Inner {
            name,
            target: Target::parse(base_url)?,
            pool: Pool::new(settings)?,
            breaker: Breaker::new(name, settings, self.metrics.circuit_open(name)),
            // At rest 1 retry a second for 10 s, then one for every five calls.
            budget: TpsBudget::new(Duration::from_secs(10), 1, 0.2),
            metrics: self.metrics.of(name),
            propagation: self.propagation.clone(),
            settings: settings.clone(),
        });
        Ok(Upstream(inner, None))
    }
}

/// A client for one service; clones share its connections, budget and breaker.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>, Option<Credentials>);

struct Inner {
    name: &'static str,
    target: Target,
    pool: Pool,
    breaker: Breaker,
    budget: TpsBudget,
    metrics: metrics::Handles,
    propagation: Propagation,
    settings: Settings,
}

impl Upstream {
    /// Validates `base_url` without creating a client; for checking settings.
    ///
    /// # Errors
    /// [`UpstreamError::InvalidUrl`].
    pub fn check_url(base_url: &str) -> Result<(), UpstreamError> {
        Target::parse(base_url).map(drop)
    }

    /// The same, whose calls carry a token of `credentials` in `Authorization`.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self(self.0, Some(credentials))
    }

    /// The upstream's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Sends a GET for `path`, which starts with a slash and may have a query.
    ///
    /// # Errors
    /// See [`Upstream::send`].
    pub async fn get(&self, path: &str) -> Result<Response<Bytes>, UpstreamError> {
        let request = Request::get(path).body(Bytes::new()).map_err(|_| UpstreamError::InvalidRequest)?;
        self.send(request).await
    }

    /// Sends `request`, whose URI is a path below the base URL, and returns the whole response, whatever its status.
    ///
    /// # Errors
    /// When no whole response came in time, the circuit is open, or there is no token for the call.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, UpstreamError> {
        match &self.1 {
            Some(credentials) => credentials.send(&self.0, request).await,
            None => self.0.call(request).await,
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.0.name).finish()
    }
}

#[cfg(test)]
mod tests;
