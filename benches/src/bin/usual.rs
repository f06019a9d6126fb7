//! The usual stack, as a good engineer writes it: one access event a request, in JSON, by tracing-appender's own thread
//! into a buffer; spans go to OpenTelemetry alone, and events to the log alone. What the arguments are, [`Arguments`] says.

use std::{
    fs::File,
    io::BufWriter,
    time::{Duration, Instant},
};

use axum::{
    body::HttpBody,
    extract::{MatchedPath, Request},
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::Response,
};
use bench::usual::{Arguments, identified, layered, serve, span};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_http::trace::TraceLayer;
use tracing::{Level, Span, event};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, Registry, filter::filter_fn, fmt, layer::SubscriberExt};

const LAYERS: [&str; 2] =
    ["one JSON line a request, by tracing-appender", "span with the conventions' fields, to a collector"];

fn main() -> std::io::Result<()> {
    let arguments = Arguments::read(&LAYERS);
    let count = arguments.layers();
    bench::runtime()?.block_on(async move {
        let provider = (count >= 8).then(|| arguments.provider());
        let _guard = subscribe(count, &arguments, provider.as_ref())?;
        let mut app = layered(count);
        if count >= 7 {
            app = app.layer(from_fn(access));
        }
        if count >= 8 {
            app = app.layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(responded));
        }
        serve(identified(app, count)).await
    })
}

/// Inside the span, for its id.
async fn access(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let agent = request.headers().get(header::USER_AGENT).cloned();
    let id = request.headers().get("x-request-id").cloned();
    let response = next.run(request).await;
    let context = Span::current().context();
    event!(
        target: "access",
        Level::INFO,
        http.request.method = method.as_str(),
        http.route = route.as_ref().map(MatchedPath::as_str),
        url.path = path.path(),
        http.response.status_code = response.status().as_u16(),
        http.server.request.duration = begun.elapsed().as_secs_f64(),
        http.response.body.size = response.body().size_hint().exact(),
        user_agent.original = text(agent.as_ref()),
        request_id = text(id.as_ref()),
        trace_id = %context.span().span_context().trace_id(),
        "request",
    );
    response
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

fn responded(response: &Response, _: Duration, span: &Span) {
    span.record("http.response.status_code", response.status().as_u16());
}

/// The guard writes what is buffered at the end.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the methods' paths are not general enough")]
fn subscribe(
    count: usize,
    arguments: &Arguments,
    provider: Option<&SdkTracerProvider>,
) -> std::io::Result<Option<WorkerGuard>> {
    let (writer, guard) = if count >= 7 { Some(appender(arguments.log())?) } else { None }.unzip();
    let lines = writer.map(|writer| {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.with_writer(writer).with_filter(filter_fn(|metadata| metadata.is_event()))
    });
    let traces = provider.map(|provider| {
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("usual"));
        // What no span needs here: the source's place, the thread, and how long it was polled.
        let spans = spans.with_location(false).with_threads(false).with_tracked_inactivity(false);
        spans.with_filter(filter_fn(|metadata| metadata.is_span()))
    });
    tracing::subscriber::set_global_default(Registry::default().with(lines).with(traces)).expect("set once");
    Ok(guard)
}

/// Its thread writes what is queued into the buffer, and flushes when the queue is empty.
fn appender(log: &str) -> std::io::Result<(NonBlocking, WorkerGuard)> {
    Ok(tracing_appender::non_blocking(BufWriter::new(File::create(log)?)))
}
