//! Logs, metrics and traces.
//!
//! Logs go to stdout through a bounded [`sink`], traces (and logs, if enabled) by OTLP from a thread of their
//! own, metrics are collected in a registry. A request never waits for the reader of any of them: what does not fit is
//! dropped and counted in `telemetry_dropped_total`. It reads no environment: names come in by a lookup.
//!
//! Next: [`span`], what a recorded request leaves behind.

mod access;
mod check;
mod console;
mod constants;
mod cut;
mod digits;
mod exporter;
mod filter;
mod format;
mod hex;
mod identity;
mod json;
mod log;
mod metrics;
mod otlp;
mod pairs;
mod panic;
mod processor;
mod propagation;
pub(crate) mod protobuf;
mod queue;
mod recorded;
mod resource;
mod response;
mod sampler;
mod scope;
mod sender;
mod settings;
pub(crate) mod sink;
pub(crate) mod span;
pub(crate) mod standard;
#[cfg(feature = "jobs")]
pub(crate) mod stored;
mod target;
mod text;
mod timestamp;
mod worker;

pub(crate) use access::{AccessLog, AccessRecord};
pub(crate) use constants::Constants;
pub(crate) use filter::LogControl;
pub use identity::Identity;
pub(crate) use metrics::render;
pub(crate) use panic::message as panic_message;
pub(crate) use propagation::Propagation;
pub(crate) use sampler::Tracing;
pub(crate) use scope::{Scope, start_shared};
pub use settings::Settings;
#[cfg(test)]
pub(crate) use settings::TracesExporter;
pub(crate) use settings::{LogFormat, OtlpProtocol};
pub(crate) use span::{ServerSpan, SpanRecord};
pub(crate) use text::Colour;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    trace::{SdkTracerProvider, SpanLimits},
};
use prometheus::Registry;
use tokio::runtime::Handle;
use tracing::Dispatch;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer, Registry as Spans, filter::FilterExt, layer::SubscriberExt};

use self::{
    exporter::Exports,
    format::Format,
    log::LogLayer,
    metrics::Metrics,
    processor::{LogQueue, SpanQueue},
    recorded::Recorded,
    sampler::Ids,
    sink::Sink,
};

/// The name of the tracer, as spans show it: this package's.
const SCOPE: &str = env!("CARGO_CRATE_NAME");

/// Looks up a variable of the environment.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where log lines go.
pub(crate) struct Output {
    /// The writer; only the writer thread waits for it.
    pub writer: Box<dyn Write + Send>,
    /// Whether it is a terminal: decides `telemetry.log_format = "auto"`.
    pub is_terminal: bool,
    /// Colours of the text form.
    pub colour: Colour,
}

/// Telemetry that cannot start: the setting or variable, and why.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct StartError {
    /// The setting's key, or the variable's name.
    pub key: &'static str,
    /// Why it cannot be used, without the value.
    pub reason: String,
}

impl StartError {
    fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }
}

/// Logs, metrics and traces of one process. Keep it until the end, then [`flush`](Self::flush) it.
pub(crate) struct Telemetry {
    metrics: Metrics,
    sink: Sink,
    format: Format,
    control: LogControl,
    access: AccessLog,
    tracing: Tracing,
    propagation: Propagation,
    exports: Exports,
    /// None where the whole process has this subscriber.
    scope: Option<Scope>,
}

/// Starts telemetry to stdout and makes it the process's own: its subscriber and its panic hook.
///
/// # Errors
/// When a setting or a standard `OTEL_` variable cannot be used, or a subscriber is already installed.
pub(crate) fn start(
    settings: &Settings,
    identity: &Identity,
    environment: Lookup<'_>,
    is_terminal: bool,
) -> Result<Telemetry, StartError> {
    // See <https://no-color.org>: any text but the empty one.
    let no_colour = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = if is_terminal && !no_colour { Colour::Ansi } else { Colour::Plain };
    let output = Output { writer: Box::new(std::io::stdout()), is_terminal, colour };
    let (telemetry, dispatch) = build(settings, identity, environment, output)?;
    tracing::dispatcher::set_global_default(dispatch)
        .map_err(|_| StartError::new("telemetry", "a subscriber is already installed"))?;
    panic::install(telemetry.sink.clone(), telemetry.format, environment);
    Ok(telemetry)
}

/// Starts telemetry to `output`, and returns the subscriber for the caller to install.
///
/// # Errors
/// As [`start`].
pub(crate) fn build(
    settings: &Settings,
    identity: &Identity,
    environment: Lookup<'_>,
    output: Output,
) -> Result<(Telemetry, Dispatch), StartError> {
    let control = LogControl::new(&settings.log_filter, settings.access_log)
        .map_err(|reason| StartError::new("telemetry.log_filter", reason))?;
    let propagation = Propagation::new(environment(standard::PROPAGATORS).as_deref())?;
    let resource = resource::build(identity, environment)?;
    let metrics = Metrics::new(identity).map_err(|error| StartError::new("telemetry", error.to_string()))?;
    let format = match settings.log_format {
        LogFormat::Auto if output.is_terminal => Format::Text(output.colour),
        LogFormat::Text => Format::Text(output.colour),
        LogFormat::Auto | LogFormat::Json => Format::Json,
    };
    let sink = Sink::start(output.writer, metrics.losses("logs").full, metrics.broken_output())
        .map_err(|error| StartError::new("telemetry", format!("starting the log writer: {error}")))?;
    let exports = Exports::start(settings, &resource, &metrics, &sink)?;
    let tracing = Tracing::new(exports.spans.clone(), settings, propagation.clone());
    let logger = exports.logs.clone().map(|queue| {
        SdkLoggerProvider::builder().with_resource(resource.clone()).with_log_processor(LogQueue(queue)).build()
    });
    let dispatch =
        subscriber(LogLayer::new(sink.clone(), format), &control, &tracing, &exports, resource, logger.as_ref());
    let otlp = logger.map(|provider| opentelemetry::logs::LoggerProvider::logger(&provider, ""));
    let access = AccessLog::new(sink.clone(), format, control.clone(), otlp);
    Ok((Telemetry { metrics, sink, format, control, access, tracing, propagation, exports, scope: None }, dispatch))
}

type BoxedLayer = Box<dyn Layer<Spans> + Send + Sync>;

/// Each layer has its own filter: logging and tracing are independent.
fn subscriber(
    log: LogLayer,
    control: &LogControl,
    tracing: &Tracing,
    exports: &Exports,
    resource: Resource,
    logger: Option<&SdkLoggerProvider>,
) -> Dispatch {
    let mut layers: Vec<BoxedLayer> = vec![log.with_filter(control.clone()).boxed()];
    if let Some(queue) = exports.spans.clone() {
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(tracing.clone())
            .with_id_generator(Ids)
            // The SDK's own reading of the environment ends here.
            .with_span_limits(SpanLimits::default())
            .with_span_processor(SpanQueue(queue))
            .build();
        // Code locations and thread names cost more than they are worth here.
        let layer = OpenTelemetryLayer::new(provider.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layers.push(layer.with_filter(Recorded::new()).boxed());
    }
    if let Some(provider) = logger {
        let filter = control.clone().and(recorded::exported());
        layers.push(OpenTelemetryTracingBridge::new(provider).with_filter(filter).boxed());
    }
    Dispatch::new(Spans::default().with(layers))
}

impl Telemetry {
    /// The metrics' registry, with `process_*`, `tokio_*`, `build_info` and `telemetry_dropped_total` in it.
    #[must_use]
    pub(crate) fn registry(&self) -> &Registry {
        &self.metrics.registry
    }

    /// Adds a runtime to the `tokio_*` metrics: what `handles` returns, of which the first takes what comes.
    pub(crate) fn watch_runtime(&self, name: &'static str, handles: impl Fn() -> Vec<Handle> + Send + Sync + 'static) {
        self.metrics.runtimes.watch(name, handles);
    }

    /// What each thread of the replica enters; none where the whole process has this subscriber.
    pub(crate) fn scope(&self) -> Option<Scope> {
        self.scope.clone()
    }

    /// Reads and changes the log filter.
    #[must_use]
    pub(crate) fn log_control(&self) -> &LogControl {
        &self.control
    }

    /// Writes access lines.
    #[must_use]
    pub(crate) fn access_log(&self) -> &AccessLog {
        &self.access
    }

    /// Decides which requests are recorded.
    #[must_use]
    pub(crate) fn tracing(&self) -> &Tracing {
        &self.tracing
    }

    /// Sets the headers of outbound requests.
    #[must_use]
    pub(crate) fn propagation(&self) -> &Propagation {
        &self.propagation
    }

    /// Activates the reloadable settings: all of them, or none.
    ///
    /// # Errors
    /// When the log filter or the ratio cannot be used.
    pub(crate) fn reload(&self, settings: &Settings) -> Result<(), StartError> {
        if let Some((key, reason)) = settings.problems().into_iter().next() {
            return Err(StartError { key, reason });
        }
        self.control
            .set_filter(&settings.log_filter)
            .map_err(|reason| StartError::new("telemetry.log_filter", reason))?;
        self.control.set_access_log(settings.access_log);
        self.tracing.reload(settings);
        Ok(())
    }

    /// Sends and writes what is pending, for at most `timeout`, and counts losses. Returns whether both finished in time.
    #[must_use = "what did not finish is lost"]
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        // A hanging collector must not use up the time for the last log lines.
        let for_lines = (timeout / 5).min(Duration::from_millis(250));
        let exported = self.exports.flush(timeout.saturating_sub(for_lines));
        self.sink.flush(deadline.saturating_duration_since(Instant::now())) && exported
    }
}

#[cfg(test)]
mod test;
#[cfg(test)]
mod tests;
