//! The usual stack: axum, tower-http, prometheus, JSON lines by tracing, spans by tracing-opentelemetry. The second
//! argument is how many of [`LAYERS`] to put on; the third the file of the log, the fourth the collector and the fifth
//! the share of traces that is recorded.

use std::{fs::File, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use prometheus::{HistogramOpts, HistogramVec};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::{
    catch_panic::CatchPanicLayer,
    limit::RequestBodyLimitLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tracing::{Span, field::Empty, info, info_span};
use tracing_subscriber::{Registry, fmt, layer::SubscriberExt};

/// What is on from which number.
const LAYERS: [&str; 9] = [
    "timeout",
    "body limit",
    "panic catcher",
    "concurrency limit",
    "prometheus",
    "request id",
    "span, with the conventions' fields",
    "one JSON line a request, to a file",
    "OpenTelemetry, to a collector",
];

const GIVEN: &str = "the argument is there";

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |at: usize| arguments.get(at).map_or("", String::as_str);
    let count = argument(2).parse().expect(GIVEN);
    if count == 0 {
        println!("{}", LAYERS.join("\n"));
        return Ok(());
    }
    bench::runtime()?.block_on(async move {
        let provider = (count >= 9).then(|| provider(argument(4), argument(5).parse().expect(GIVEN)));
        subscribe(count, argument(3), provider.as_ref())?;
        let listener = bench::nodelay(tokio::net::TcpListener::bind(bench::address()).await?);
        let app = app(count);
        tokio::spawn(async { axum::serve(listener, app).await }).await?
    })
}

/// As most services have it: one `layer` after the other.
fn app(count: usize) -> Router {
    let on = |at: usize| count >= at;
    let mut app = Router::new().route("/hello", get(async || bench::BODY));
    if on(1) {
        app =
            app.layer(TimeoutLayer::with_status_code(axum::http::StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)));
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
    if on(7) {
        app = app.layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(responded));
    }
    if on(6) {
        app =
            app.layer(PropagateRequestIdLayer::x_request_id()).layer(SetRequestIdLayer::x_request_id(MakeRequestUuid));
    }
    app
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

fn span(request: &Request) -> Span {
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

fn responded(response: &Response, latency: Duration, span: &Span) {
    span.record("http.response.status_code", response.status().as_u16());
    info!(seconds = latency.as_secs_f64(), "response");
}

fn subscribe(count: usize, log: &str, provider: Option<&SdkTracerProvider>) -> std::io::Result<()> {
    let lines = if count >= 8 { Some(fmt::layer().json().with_writer(File::create(log)?)) } else { None };
    let traces = provider.map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("usual")));
    let none = (count == 7).then(|| fmt::layer().with_writer(std::io::sink));
    let subscriber = Registry::default().with(lines).with(traces).with(none);
    tracing::subscriber::set_global_default(subscriber).expect("set once");
    Ok(())
}

fn provider(collector: &str, ratio: f64) -> SdkTracerProvider {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(collector).build().expect("a valid endpoint");
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).build()
}
