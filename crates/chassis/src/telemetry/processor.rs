//! Puts finished spans and log records into the queues.
//!
//! Next: [`super::queue`].

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Array, Context, InstrumentationScope, KeyValue, SpanId, TraceFlags, Value,
    logs::{AnyValue, LogRecord},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    trace::{Span, SpanData, SpanProcessor},
};

use super::{
    exporter::LogItem,
    queue::{Queue, Weigh},
    span::Server,
};
use crate::request;

/// Spans that wait for their export.
pub(super) type Spans = Queue<Finished>;

/// A finished span. Boxed: the queue moves them.
#[derive(Debug)]
pub(super) enum Finished {
    /// A request's.
    Server(Box<Server>),
    /// One that `tracing` made, within a request or in the background.
    Other(Box<SpanData>),
}

/// 64 bytes: the overhead of a name, a value or a link.
const EACH: usize = 64;

impl Weigh for Finished {
    fn weight(&self) -> usize {
        match self {
            Self::Server(span) => size_of::<Server>() + span.texts.len() + span.tracestate,
            Self::Other(span) => {
                let events = span.events.iter().map(|event| EACH + event.name.len() + pairs(&event.attributes));
                let links = span.links.iter().map(|link| EACH + pairs(&link.attributes));
                let texts = span.name.len() + pairs(&span.attributes);
                size_of::<SpanData>() + texts + events.sum::<usize>() + links.sum::<usize>()
            }
        }
    }
}

impl Weigh for LogItem {
    fn weight(&self) -> usize {
        let attributes = self.0.attributes_iter().map(|(key, value)| EACH + key.as_str().len() + any(value));
        size_of::<Self>() + self.0.body().map_or(0, any) + attributes.sum::<usize>()
    }
}

fn pairs(pairs: &[KeyValue]) -> usize {
    let text = |value: &Value| match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::String(texts)) => texts.iter().map(|text| EACH + text.as_str().len()).sum(),
        _ => EACH,
    };
    pairs.iter().map(|pair| EACH + pair.key.as_str().len() + text(&pair.value)).sum()
}

fn any(value: &AnyValue) -> usize {
    match value {
        AnyValue::String(text) => text.as_str().len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        AnyValue::ListAny(list) => list.iter().map(|value| EACH + any(value)).sum(),
        AnyValue::Map(map) => map.iter().map(|(key, value)| EACH + key.as_str().len() + any(value)).sum(),
        _ => 0,
    }
}

/// Queues the finished spans of the SDK. Flush and shutdown have their own way, with a bound; see `Telemetry::flush`.
#[derive(Debug)]
pub(super) struct SpanQueue(pub(super) Arc<Spans>);

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.push(Finished::Other(Box::new(span)));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Queues log records, those of unrecorded requests with their trace id too.
#[derive(Debug)]
pub(super) struct LogQueue(pub(super) Arc<Queue<LogItem>>);

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        request::with_current(|request| {
            let Some(request) = request else { return };
            if record.trace_context().is_none() {
                let flags = TraceFlags::default().with_sampled(request.trace.sampled);
                record.set_trace_context(request.trace.trace_id.0.into(), SpanId::INVALID, Some(flags));
            }
            // An access record brings its own.
            if !record.attributes_iter().any(|(key, _)| key.as_str() == "request_id") {
                record.add_attribute("request_id", request.id().to_owned());
            }
        });
        self.0.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
