//! What both usual stacks share: axum, tower-http, prometheus, and the exporter of traces. They differ in how they write
//! lines and spans: `usual` as a good engineer would, `usual_naive` as the first page of the documentation has it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use prometheus::{HistogramOpts, HistogramVec};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::{
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::TimeoutLayer,
};
use tracing::{Span, field::Empty, info_span};

/// What [`layered`] and [`identified`] put on, from which number.
pub const LAYERS: [&str; 6] =
    ["timeout", "body limit", "panic catcher", "concurrency limit", "prometheus", "request id"];

const GIVEN: &str = "the argument is there";

/// The arguments: how many layers, the file of the log, the collector, and the share of traces that is recorded.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Prints `layers` and ends where no layer is asked for.
    #[must_use]
    pub fn read(layers: &[&str]) -> Self {
        let arguments = Self(std::env::args().collect());
        if arguments.layers() == 0 {
            println!("{}", [&LAYERS[..], layers].concat().join("\n"));
            std::process::exit(0);
        }
        arguments
    }

    /// How many layers.
    ///
    /// # Panics
    /// Where it is no number.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.0.get(2).expect(GIVEN).parse().expect("a number of layers")
    }

    /// The file of the log.
    ///
    /// # Panics
    /// Where it is missing.
    #[must_use]
    pub fn log(&self) -> &str {
        self.0.get(3).expect(GIVEN)
    }

    /// Exports to the collector, in batches.
    ///
    /// # Panics
    /// Where the endpoint or the share is wrong.
    #[must_use]
    pub fn provider(&self) -> SdkTracerProvider {
        let (collector, ratio) = (self.0.get(4).expect(GIVEN), self.0.get(5).expect(GIVEN));
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(collector).build().expect("a valid endpoint");
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio.parse().expect("a share"))));
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).build()
    }
}

/// The route with the first five layers, one `layer` after the other, as most services have it.
///
/// # Panics
/// Where prometheus refuses the metric.
pub fn layered(count: usize) -> Router {
    let on = |at: usize| count >= at;
    let mut app = Router::new().route("/hello", get(async || crate::BODY));
    if on(1) {
        app = app.layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)));
    }
    if on(2) {
        app = app.layer(RequestBodyLimitLayer::new(2 << 20));
    }
    if on(3) {
        app = app.layer(CatchPanicLayer::new());
    }
    if on(4) {
        app = app.layer(GlobalConcurrencyLimitLayer::new(2048));
    }
    if on(5) {
        let opts = HistogramOpts::new("http_server_request_duration_seconds", "Durations.");
        let labels = &["http_request_method", "http_route", "http_response_status_code"];
        let durations = HistogramVec::new(opts, labels).expect("a valid metric");
        app = app.route_layer(from_fn_with_state(Arc::new(durations), measure));
    }
    app
}

/// The sixth layer, outside of the spans, which name the id.
pub fn identified(app: Router, count: usize) -> Router {
    if count < 6 {
        return app;
    }
    app.layer(PropagateRequestIdLayer::x_request_id()).layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

async fn measure(State(durations): State<Arc<HistogramVec>>, request: Request, next: Next) -> Response {
    let started = std::time::Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = path.as_ref().map_or("", MatchedPath::as_str);
    let status = response.status();
    let labels = [method.as_str(), route, status.as_str()];
    durations.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    response
}

/// A span with the conventions' fields.
pub fn span(request: &Request) -> Span {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    info_span!(
        "request",
        otel.name = %format_args!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        url.path = request.uri().path(),
        url.scheme = "http",
        network.protocol.version = "1.1",
        server.address = header("host"),
        user_agent.original = header("user-agent"),
        request_id = header("x-request-id"),
        http.response.status_code = Empty,
    )
}

/// Serves `app` until the process ends.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(app: Router) -> std::io::Result<()> {
    let listener = crate::nodelay(tokio::net::TcpListener::bind(crate::address()).await?);
    tokio::spawn(async { axum::serve(listener, app).await }).await?
}
