//! OTLP over gRPC or HTTP, on a thread of its own.
//!
//! A separate runtime keeps exports off the requests' threads, and lets them go on while the others shut down. What the
//! thread itself emits is never exported: an exporter must not feed itself.
//!
//! Next: [`super::otlp`].

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::{LogExporter, SpanExporter};
use opentelemetry_sdk::{Resource, logs::SdkLogRecord};
use tokio::runtime::{Builder, Runtime};

use super::{
    Settings, StartError,
    console::Console,
    metrics::Metrics,
    otlp::Requests,
    processor::Finished,
    protobuf::Encoder,
    queue::Queue,
    response::{Refusal, Taken},
    sender::Sender,
    settings::TracesExporter,
    sink::Sink,
    target::{Signal, Target},
    worker::{Export, Flusher, Worker},
};

/// Targets of the exporter's own crates.
pub(super) const OWN_TARGETS: [&str; 4] = ["h2", "hyper", "opentelemetry", "tower"];

/// The calls that take spans and log records.
const EXPORT_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const EXPORT_LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// One finished log record from the SDK.
pub(super) type LogItem = (SdkLogRecord, InstrumentationScope);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The queues of the exporters whose signal is enabled.
#[derive(Default)]
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
        sink: &Sink,
    ) -> Result<Self, StartError> {
        let (mut exports, mut tasks) = (Self::default(), Vec::new());
        if let Some(target) = settings.target(Signal::Traces)? {
            let spans = Spans::new(resource, &target)?;
            exports.spans = Some(exports.connect(spans, target.timeout, metrics, &mut tasks));
        } else if settings.traces_exporter == TracesExporter::Console {
            let console = Console::new(sink.clone());
            exports.spans = Some(exports.connect(console, settings.otlp_timeout.get(), metrics, &mut tasks));
        }
        if let Some(target) = settings.target(Signal::Logs)? {
            let logs = Logs { requests: Requests::of_logs(resource)?, sender: Sender::new(&target, EXPORT_LOGS)? };
            exports.logs = Some(exports.connect(logs, target.timeout, metrics, &mut tasks));
        }
        if !tasks.is_empty() {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
            thread::Builder::new().name("telemetry".into()).spawn(move || run(runtime, tasks)).map_err(failed)?;
        }
        Ok(exports)
    }

    /// Puts a queue and its worker before `exporter`.
    fn connect<E: Export>(
        &mut self,
        exporter: E,
        timeout: Duration,
        metrics: &Metrics,
        tasks: &mut Vec<Task>,
    ) -> Arc<Queue<E::Item>> {
        let losses = metrics.losses(E::SIGNAL);
        let queue = Queue::new(losses.full.clone());
        let (worker, flusher) = Worker::new(Arc::clone(&queue), exporter, losses, timeout);
        tasks.push(Box::pin(worker.run()));
        self.flushers.push(flusher);
        queue
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

/// Server spans go their own, short way; see [`super::protobuf`].
struct Spans {
    encoder: Encoder,
    /// For spans of handlers.
    requests: Requests<SpanExporter>,
    sender: Sender,
}

impl Spans {
    fn new(resource: &Resource, target: &Target) -> Result<Self, StartError> {
        let sender = Sender::new(target, EXPORT_TRACES)?;
        Ok(Self { encoder: Encoder::new(resource), requests: Requests::of_spans(resource)?, sender })
    }
}

impl Export for Spans {
    type Item = Finished;
    const SIGNAL: &'static str = "traces";

    /// Both kinds in one message: one after the other, the encoded lists of a field are one list.
    fn encode(&self, batch: Vec<Finished>) -> Result<Bytes, String> {
        let (mut servers, mut others) = (Vec::with_capacity(batch.len()), Vec::new());
        for span in batch {
            match span {
                Finished::Server(span) => servers.push(span),
                Finished::Other(span) => others.push(*span),
            }
        }
        let mut message = if servers.is_empty() { Vec::new() } else { self.encoder.request(&servers) };
        drop(servers);
        if !others.is_empty() {
            message.extend_from_slice(&self.requests.encode(others)?);
        }
        Ok(self.sender.frame(message))
    }

    async fn send(&self, request: Bytes) -> Result<Taken, Refusal> {
        self.sender.send(request).await
    }
}

struct Logs {
    requests: Requests<LogExporter>,
    sender: Sender,
}

impl Export for Logs {
    type Item = LogItem;
    const SIGNAL: &'static str = "logs";

    fn encode(&self, batch: Vec<LogItem>) -> Result<Bytes, String> {
        Ok(self.sender.frame(self.requests.encode(&batch)?.into()))
    }

    async fn send(&self, request: Bytes) -> Result<Taken, Refusal> {
        self.sender.send(request).await
    }
}
