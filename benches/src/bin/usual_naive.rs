//! The usual stack as the first page of the documentation has it: every span is also a part of the JSON line, and each
//! line is a write of its own. What the arguments are, [`Arguments`] says.

use std::{fs::File, time::Duration};

use axum::response::Response;
use bench::usual::{Arguments, identified, layered, serve, span};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_http::trace::TraceLayer;
use tracing::{Span, info};
use tracing_subscriber::{Registry, fmt, layer::SubscriberExt};

const LAYERS: [&str; 3] =
    ["span, with the conventions' fields", "one JSON line a request, to a file", "OpenTelemetry, to a collector"];

fn main() -> std::io::Result<()> {
    let arguments = Arguments::read(&LAYERS);
    let count = arguments.layers();
    bench::runtime()?.block_on(async move {
        let provider = (count >= 9).then(|| arguments.provider());
        subscribe(count, &arguments, provider.as_ref())?;
        let mut app = layered(count);
        if count >= 7 {
            app = app.layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(responded));
        }
        serve(identified(app, count)).await
    })
}

fn responded(response: &Response, latency: Duration, span: &Span) {
    span.record("http.response.status_code", response.status().as_u16());
    info!(seconds = latency.as_secs_f64(), "response");
}

fn subscribe(count: usize, arguments: &Arguments, provider: Option<&SdkTracerProvider>) -> std::io::Result<()> {
    let lines = if count >= 8 { Some(fmt::layer().json().with_writer(File::create(arguments.log())?)) } else { None };
    let traces = provider.map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("usual")));
    let none = (count == 7).then(|| fmt::layer().with_writer(std::io::sink));
    let subscriber = Registry::default().with(lines).with(traces).with(none);
    tracing::subscriber::set_global_default(subscriber).expect("set once");
    Ok(())
}
