//! OTLP over gRPC or HTTP, on a thread of its own.
//!
//! A separate runtime keeps exports off the requests' threads, and lets them go on while the others shut down. What the
//! thread itself emits is never exported: an exporter must not feed itself.
//!
//! Next: [`super::variables`].

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use http::{HeaderMap, HeaderValue};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::{
    LogExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::metadata::MetadataMap,
};
use opentelemetry_sdk::{
    Resource,
    logs::{LogBatch, LogExporter as _, SdkLogRecord},
    trace::{SpanData, SpanExporter as _},
};
use tokio::runtime::{Builder, Runtime};

use super::{
    Lookup, OtlpProtocol, Settings, StartError,
    metrics::Metrics,
    processor::Finished,
    protobuf::Encoder,
    queue::{Export, Flusher, Queue, Worker},
    sender::{HyperSender, Sender},
    settings::check_endpoint,
    variables,
};

/// Targets of the exporter's own crates.
pub(super) const OWN_TARGETS: [&str; 5] = ["h2", "hyper", "opentelemetry", "tonic", "tower"];

const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const LOGS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT";

/// One finished log record from the SDK.
pub(super) type LogItem = (SdkLogRecord, InstrumentationScope);

/// The queues of the exporters whose signal is enabled.
pub(super) struct Exports {
    pub(super) spans: Option<Arc<Queue<Finished>>>,
    pub(super) logs: Option<Arc<Queue<LogItem>>>,
    flushers: Vec<Flusher>,
}

impl Exports {
    /// Starts the thread, where there is anything to send.
    pub(super) fn start(
        settings: &Settings,
        resource: &Resource,
        metrics: &Metrics,
        environment: Lookup<'_>,
    ) -> Result<Self, StartError> {
        let traces = endpoint(settings, TRACES_ENDPOINT, "/v1/traces", environment)?;
        let logs = endpoint(settings, LOGS_ENDPOINT, "/v1/logs", environment)?.filter(|_| settings.otlp_logs);
        if settings.otlp_logs && logs.is_none() {
            return Err(StartError::new("telemetry.otlp_logs", "needs telemetry.otlp_endpoint"));
        }
        let (headers, trace_headers) = (variables::headers(environment)?, variables::trace_headers(environment)?);
        let timeouts = (variables::traces_timeout(environment)?, variables::logs_timeout(environment)?);
        let destination =
            Destination { protocol: settings.otlp_protocol, headers, trace_headers, timeouts, resource, metrics };
        let mut exports = Self { spans: None, logs: None, flushers: Vec::new() };
        if traces.is_none() && logs.is_none() {
            return Ok(exports);
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        // A gRPC channel spawns its task when it is built.
        let entered = runtime.enter();
        let mut tasks = Vec::new();
        if let Some(endpoint) = traces {
            let (exporter, timeout) = (destination.spans(&endpoint)?, timeouts.0);
            exports.spans = Some(destination.connect(exporter, timeout, &mut tasks, &mut exports.flushers));
        }
        if let Some(endpoint) = logs {
            let (exporter, timeout) = (destination.logs(&endpoint)?, timeouts.1);
            exports.logs = Some(destination.connect(exporter, timeout, &mut tasks, &mut exports.flushers));
        }
        drop(entered);
        thread::Builder::new().name("telemetry".into()).spawn(move || run(runtime, tasks)).map_err(failed)?;
        Ok(exports)
    }

    /// Sends all queued items; blocks up to `timeout`, until they are sent, or lost and counted.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        // The worker gives up slightly earlier, so that it can still count the losses.
        let theirs = Instant::now() + timeout.saturating_sub((timeout / 10).min(Duration::from_millis(100)));
        let asked: Vec<_> = self.flushers.iter().map(|flusher| flusher.ask(theirs)).collect();
        // Each is waited for, also after one that failed.
        let missed =
            self.flushers.iter().zip(asked).filter(|(flusher, number)| !flusher.wait(*number, deadline)).count();
        missed == 0
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

fn run(runtime: Runtime, tasks: Vec<Task>) {
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    runtime.block_on(join_all(tasks));
    // A name lookup may hang in the system's resolver.
    runtime.shutdown_background();
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: io::Error) -> StartError {
    StartError::new("telemetry", format!("starting the export thread: {error}"))
}

/// The signal's own endpoint unchanged, else the base URL of the settings, with the signal's path over HTTP.
fn endpoint(
    settings: &Settings,
    variable: &'static str,
    path: &str,
    environment: Lookup<'_>,
) -> Result<Option<String>, StartError> {
    if let Some(own) = environment(variable).filter(|own| !own.is_empty()) {
        check_endpoint(&own).map_err(|reason| StartError::new(variable, reason))?;
        return Ok(Some(own));
    }
    let Some(base) = &settings.otlp_endpoint else { return Ok(None) };
    check_endpoint(base).map_err(|reason| StartError::new("telemetry.otlp_endpoint", reason))?;
    Ok(Some(match settings.otlp_protocol {
        OtlpProtocol::Grpc => base.clone(),
        OtlpProtocol::HttpProtobuf => format!("{}{path}", base.trim_end_matches('/')),
    }))
}

/// Whether the logs' own endpoint is valid.
pub(super) fn check(environment: Lookup<'_>) -> Result<(), StartError> {
    let none = Settings { otlp_endpoint: None, ..Settings::default() };
    endpoint(&none, LOGS_ENDPOINT, "", environment).map(drop)
}

struct Destination<'a> {
    protocol: OtlpProtocol,
    headers: HeaderMap,
    trace_headers: HeaderMap,
    /// For spans, and for logs.
    timeouts: (Duration, Duration),
    resource: &'a Resource,
    metrics: &'a Metrics,
}

/// Both exporters have the same builder methods without a common trait that could be named.
macro_rules! build {
    ($destination:expr, $exporter:ident, $endpoint:expr, $timeout:expr) => {{
        let built = match $destination.protocol {
            OtlpProtocol::Grpc => $exporter::builder()
                .with_tonic()
                .with_endpoint($endpoint)
                .with_timeout($timeout)
                .with_metadata(MetadataMap::from_headers($destination.headers.clone()))
                .with_retry_policy(RetryPolicy::disabled())
                .build(),
            OtlpProtocol::HttpProtobuf => $exporter::builder()
                .with_http()
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_http_client(HyperSender::new())
                .with_endpoint($endpoint)
                .with_timeout($timeout)
                .with_headers($destination.header_texts())
                .with_retry_policy(RetryPolicy::disabled())
                .build(),
        };
        let mut exporter = built.map_err(|error| StartError::new("telemetry.otlp_endpoint", error.to_string()))?;
        exporter.set_resource($destination.resource);
        exporter
    }};
}

impl Destination<'_> {
    fn spans(&self, endpoint: &str) -> Result<Spans, StartError> {
        Ok(Spans {
            encoder: Encoder::new(self.resource),
            sender: Sender::new(self.protocol, endpoint, &self.trace_headers)?,
            exporter: build!(self, SpanExporter, endpoint, self.timeouts.0),
        })
    }

    fn logs(&self, endpoint: &str) -> Result<Logs, StartError> {
        Ok(Logs(build!(self, LogExporter, endpoint, self.timeouts.1)))
    }

    /// Puts a queue and its worker before `exporter`.
    fn connect<E: Export>(
        &self,
        exporter: E,
        timeout: Duration,
        tasks: &mut Vec<Task>,
        flushers: &mut Vec<Flusher>,
    ) -> Arc<Queue<E::Item>> {
        let queue = Queue::new(self.metrics.dropped(E::SIGNAL));
        let (worker, flusher) = Worker::new(Arc::clone(&queue), exporter, timeout);
        tasks.push(Box::pin(worker.run()));
        flushers.push(flusher);
        queue
    }

    fn header_texts(&self) -> HashMap<String, String> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }
}

/// Server spans go their own, short way; see [`super::protobuf`].
struct Spans {
    encoder: Encoder,
    sender: Sender,
    /// For spans of handlers.
    exporter: SpanExporter,
}

impl Export for Spans {
    type Item = Finished;
    const SIGNAL: &'static str = "traces";

    async fn export(&self, batch: Vec<Finished>) -> Result<(), String> {
        let (mut servers, mut others) = (Vec::with_capacity(batch.len()), Vec::new());
        for span in batch {
            match span {
                Finished::Server(span) => servers.push(span),
                Finished::Other(span) => others.push(*span),
            }
        }
        let message = (!servers.is_empty()).then(|| self.encoder.request(&servers));
        drop(servers);
        let (servers, others) = join(self.send(message), self.export_others(others)).await;
        // Both go to one collector at once: if either is refused, the batch counts as lost.
        servers.and(others)
    }
}

impl Spans {
    async fn send(&self, message: Option<Vec<u8>>) -> Result<(), String> {
        match message {
            Some(message) => self.sender.send(message).await,
            None => Ok(()),
        }
    }

    async fn export_others(&self, spans: Vec<SpanData>) -> Result<(), String> {
        if spans.is_empty() {
            return Ok(());
        }
        self.exporter.export(spans).await.map_err(|error| error.to_string())
    }
}

struct Logs(LogExporter);

impl Export for Logs {
    type Item = LogItem;
    const SIGNAL: &'static str = "logs";

    async fn export(&self, batch: Vec<LogItem>) -> Result<(), String> {
        let borrowed: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        self.0.export(LogBatch::new(&borrowed)).await.map_err(|error| error.to_string())
    }
}
