//! A route's name, its runtime, and its metrics, resolved once.
//!
//! Next: [`super::observation`].

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, Registry};
use tower_http::cors::CorsLayer;

use super::{cors::Cors, dispatch::Dispatch};
use crate::{
    overload::{Limiter, Runtime},
    telemetry::Constants,
    values::Size,
};

/// The kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Awaits more than it computes.
    Io,
    /// Computes; runs on the work runtime.
    Work,
    /// A health check on the traffic port: never shed, traced or logged.
    Probe,
    /// No route: cheap to serve, so it needs no place.
    Unmatched,
    /// Answered by the CORS layer of a route, not by its handler: cheap, so it needs no place.
    Preflight,
}

impl Kind {
    /// The runtime of its handler; none if it needs no place.
    pub(super) const fn runtime(self) -> Option<Runtime> {
        match self {
            Self::Io => Some(Runtime::Io),
            Self::Work => Some(Runtime::Work),
            Self::Probe | Self::Unmatched | Self::Preflight => None,
        }
    }
}

/// What a route has of its own instead of the server's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Instead of `server.max_body`.
    pub(crate) max_body: Option<Size>,
    /// Instead of `server.request_timeout`.
    pub(crate) request_timeout: Option<Duration>,
    /// What was chosen, if anything was: rules, or none.
    #[expect(clippy::option_option, reason = "a route without rules differs from one that takes those of its group")]
    pub(crate) cors: Option<Option<CorsLayer>>,
    /// Whether a handler or a layer may read axum's `ConnectInfo`; of a route, never of a group.
    pub(crate) connect_info: bool,
}

impl Marks {
    /// # Panics
    /// On a time of zero: every answer would be a 504.
    #[must_use]
    pub(crate) fn with_request_timeout(self, timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "`request_timeout` needs a time above zero");
        Self { request_timeout: Some(timeout), ..self }
    }

    /// None is a choice too: the group's rules do not hold.
    #[must_use]
    pub(crate) fn with_cors(self, layer: Option<CorsLayer>) -> Self {
        Self { cors: Some(layer), ..self }
    }

    /// The rules for pages of other origins, where there are any.
    pub(crate) fn cors(&self) -> Option<&CorsLayer> {
        self.cors.as_ref()?.as_ref()
    }

    /// Takes from `group` what the route does not have yet.
    pub(crate) fn inherit(&mut self, group: &Self) {
        self.max_body = self.max_body.or(group.max_body);
        self.request_timeout = self.request_timeout.or(group.request_timeout);
        if self.cors.is_none() {
            self.cors.clone_from(&group.cors);
        }
    }
}

/// The buckets that OpenTelemetry's conventions advise for `http.server.request.duration`, in seconds.
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// `http_server_request_duration_seconds` and `http_server_active_requests`. The histogram's `_count` counts requests by
/// method, route and status: the number of 4xx is a query, not another metric.
#[derive(Clone, Debug)]
pub(super) struct RouteMetrics {
    durations: HistogramVec,
    pub(super) active: IntGauge,
}

impl RouteMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let name = "http_server_request_duration_seconds";
        let opts = HistogramOpts::new(
            name,
            "Time from the complete request head to the last response byte handed to the transport.",
        );
        let labels = &["http_request_method", "http_route", "http_response_status_code"];
        let durations = HistogramVec::new(opts.buckets(BUCKETS.to_vec()), labels).expect("a valid metric");
        let active = IntGauge::new(
            "http_server_active_requests",
            "Requests in flight, from the complete head to the last response byte.",
        );
        let active = active.expect("a valid metric");
        registry.register(Box::new(durations.clone())).expect("registered once");
        registry.register(Box::new(active.clone())).expect("registered once");
        Self { durations, active }
    }
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The path template; empty for what matches none.
    pub(super) template: Arc<str>,
    pub(super) kind: Kind,
    /// The limiter of its requests; none if they need no place.
    pub(super) pool: Option<Arc<Limiter>>,
    pub(super) handlers: Dispatch,
    pub(super) max_body: Option<Size>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) cors: Option<Cors>,
    pub(super) connect_info: bool,
    metrics: RouteMetrics,
    series: OnceLock<Box<Series>>,
}

/// What a route has of each method and status in use. They are a handful, so a list beats a hash; it only grows, so it has no
/// lock.
#[derive(Debug)]
pub(super) struct Series {
    method: &'static str,
    status: StatusCode,
    pub(super) durations: Histogram,
    /// Of its access lines.
    pub(super) constants: Constants,
    next: OnceLock<Box<Self>>,
}

impl Route {
    pub(super) fn new(
        template: &str,
        kind: Kind,
        pool: Option<Arc<Limiter>>,
        handlers: Dispatch,
        metrics: &RouteMetrics,
    ) -> Self {
        let (template, metrics) = (template.into(), metrics.clone());
        Self {
            template,
            kind,
            pool,
            handlers,
            max_body: None,
            request_timeout: None,
            cors: None,
            connect_info: false,
            metrics,
            series: OnceLock::new(),
        }
    }

    /// With `marks`.
    pub(super) fn marked(self, marks: &Marks) -> Self {
        let cors = marks.cors().map(|layer| Cors::new(layer, self.preflight(layer)));
        let Marks { max_body, request_timeout, connect_info, .. } = *marks;
        Self { max_body, request_timeout, cors, connect_info, ..self }
    }

    /// The route of preflights: the template is the same, so that it is counted with the rest of the path.
    fn preflight(&self, layer: &CorsLayer) -> Self {
        let handlers = axum::Router::new().fallback(unreachable).layer(layer.clone());
        Self::new(&self.template, Kind::Preflight, None, handlers.into(), &self.metrics)
    }

    pub(super) fn active(&self) -> &IntGauge {
        &self.metrics.active
    }

    /// Of requests with this method and status. 499 means that the client disconnected before the response.
    pub(super) fn series(&self, method: &'static str, status: StatusCode) -> &Series {
        let mut place = &self.series;
        loop {
            let series = place.get_or_init(|| Box::new(self.begin_series(method, status)));
            if series.status == status && series.method == method {
                return series;
            }
            place = &series.next;
        }
    }

    fn begin_series(&self, method: &'static str, status: StatusCode) -> Series {
        let durations = self.metrics.durations.with_label_values(&[method, &*self.template, status.as_str()]);
        Series { method, status, durations, constants: Constants::default(), next: OnceLock::new() }
    }
}

/// The layer answers each preflight itself.
async fn unreachable() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The method as a label: the ones of RFC 9110 and PATCH, and one word for all others.
pub(super) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_resolved_once_for_each_method_and_status() {
        let registry = Registry::new();
        let route = Route::new("/things", Kind::Io, None, axum::Router::new().into(), &RouteMetrics::new(&registry));
        for _ in 0..3 {
            route.series("GET", StatusCode::OK).durations.observe(0.001);
            route.series("GET", StatusCode::NOT_FOUND).durations.observe(0.001);
        }
        let families = registry.gather();
        let family = families.iter().find(|f| f.name().ends_with("_seconds")).expect("exported");
        assert_eq!(family.get_metric().len(), 2);
        assert_eq!(family.get_metric()[0].get_histogram().get_sample_count(), 3);
    }

    #[test]
    fn methods_beyond_the_known_are_one() {
        assert_eq!(method_label(&Method::GET), "GET");
        assert_eq!(method_label(&Method::from_bytes(b"BREW").expect("a method")), "_OTHER");
    }
}
