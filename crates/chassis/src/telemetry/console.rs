//! Spans as lines of JSON on stdout: `telemetry.traces_exporter = "console"`, for a look while developing.
//!
//! Next: [`super::worker`].

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value, json};

use super::{
    processor::Finished,
    response::{Refusal, Taken},
    sink::{Sink, Urgency},
    span::Server,
    worker::Export,
};

/// Writes to the sink of the log lines.
pub(super) struct Console(Sink);

impl Console {
    pub(super) fn new(sink: Sink) -> Self {
        Self(sink)
    }
}

impl Export for Console {
    type Item = Finished;
    const SIGNAL: &'static str = "traces";

    fn encode(&self, batch: Vec<Finished>) -> Result<Bytes, String> {
        let lines = batch.iter().map(|span| format!("{}\n", line(span)));
        Ok(lines.collect::<String>().into())
    }

    async fn send(&self, request: Bytes) -> Result<Taken, Refusal> {
        for line in request.split_inclusive(|&byte| byte == b'\n') {
            self.0.write(line, Urgency::Batched);
        }
        Ok(Taken::default())
    }
}

fn line(span: &Finished) -> Value {
    match span {
        Finished::Server(span) => server(span),
        Finished::Other(span) => other(span),
    }
}

fn server(span: &Server) -> Value {
    let [path, route, ..] = span.texts.each();
    json!({
        "target": "span",
        "name": format!("{} {route}", span.method).trim_end(),
        "trace_id": span.context.trace_id().to_string(),
        "span_id": span.context.span_id().to_string(),
        "parent_span_id": span.parent.map(|parent| format!("{parent:016x}")),
        "kind": "server",
        "start_unix_nano": nanoseconds(span.started).to_string(),
        "end_unix_nano": nanoseconds(span.started + span.lasted).to_string(),
        "status": if span.status.is_server_error() { "error" } else { "unset" },
        "attributes": {
            "http.request.method": span.method,
            "url.path": path,
            "url.scheme": span.scheme,
            "http.response.status_code": span.status.as_u16(),
        },
    })
}

fn other(span: &SpanData) -> Value {
    let attributes: Map<String, Value> =
        span.attributes.iter().map(|pair| (pair.key.to_string(), pair.value.to_string().into())).collect();
    let parent = (span.parent_span_id != opentelemetry::SpanId::INVALID).then(|| span.parent_span_id.to_string());
    json!({
        "target": "span",
        "name": span.name,
        "trace_id": span.span_context.trace_id().to_string(),
        "span_id": span.span_context.span_id().to_string(),
        "parent_span_id": parent,
        "kind": match span.span_kind {
            SpanKind::Client => "client",
            SpanKind::Server => "server",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
            SpanKind::Internal => "internal",
        },
        "start_unix_nano": nanoseconds(span.start_time).to_string(),
        "end_unix_nano": nanoseconds(span.end_time).to_string(),
        "status": match span.status {
            Status::Unset => "unset",
            Status::Ok => "ok",
            Status::Error { .. } => "error",
        },
        "attributes": attributes,
    })
}

fn nanoseconds(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}
