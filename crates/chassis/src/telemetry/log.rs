//! The layer that formats events as lines.
//!
//! A span's fields are written once, when it is created, and copied into each line below it; innermost names win.
//! `otel.…` fields are left out: they are meant for the tracer.
//!
//! Next: [`super::format`].

use std::{cell::Cell, mem};

use opentelemetry::{Context as OtelContext, SpanId, TraceId, trace::TraceContextExt};
use tracing::{
    Event, Level, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    format::{Fields, Format, Name, Value, name},
    sink::{Sink, Urgency},
};
use crate::request;

/// The names that every line may have; a field that takes one gets a prefix.
const OWN_NAMES: [&str; 7] = ["timestamp", "level", "target", "message", "request_id", "trace_id", "span_id"];

pub(super) struct LogLayer {
    sink: Sink,
    format: Format,
}

impl LogLayer {
    pub(super) fn new(sink: Sink, format: Format) -> Self {
        Self { sink, format }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = SpanFields::default();
            attributes.record(&mut Fields(|name: &'static str, value: Value<'_>| fields.set(self.format, name, value)));
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Formatted first: a value may log, and the span must not be locked then.
        let mut added = SpanFields::default();
        values.record(&mut Fields(|name: &'static str, value: Value<'_>| added.set(self.format, name, value)));
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            fields.merge(added);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut scratch = SCRATCH.take();
        scratch.write(self.format, event, &context);
        let level = *event.metadata().level();
        self.sink.write(&scratch.line, if level <= Level::WARN { Urgency::Now } else { Urgency::Batched });
        scratch.clear();
        SCRATCH.set(scratch);
    }
}

thread_local! {
    // Taken while in use: a value that logs while it is printed starts with a fresh one.
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Buffers that a thread uses again for each of its lines.
#[derive(Default)]
struct Scratch {
    line: Vec<u8>,
    message: Vec<u8>,
    fields: Vec<u8>,
    seen: Vec<&'static str>,
}

impl Scratch {
    fn write<S: Subscriber + for<'a> LookupSpan<'a>>(
        &mut self,
        format: Format,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) {
        self.event_fields(format, event);
        if let Some(scope) = context.event_scope(event) {
            for span in scope {
                if let Some(fields) = span.extensions().get::<SpanFields>() {
                    self.span_fields(format, fields);
                }
            }
        }
        let line = &mut self.line;
        format.head(line, *event.metadata().level(), event.metadata().target());
        if !self.message.is_empty() {
            match format {
                Format::Json => format.key(line, "message"),
                Format::Text(_) => line.push(b' '),
            }
            line.extend_from_slice(&self.message);
        }
        line.extend_from_slice(&self.fields);
        identity(format, line);
        format.tail(line);
    }

    fn event_fields(&mut self, format: Format, event: &Event<'_>) {
        let Self { message, fields, seen, .. } = self;
        event.record(&mut Fields(|name: &'static str, value: Value<'_>| {
            if name != "message" {
                key(format, fields, name);
                format.value(fields, value);
                seen.push(name);
                return;
            }
            match value {
                Value::Text(text) | Value::Plain(text) => format.message(message, format_args!("{text}")),
                Value::Printed(arguments) => format.message(message, arguments),
                other => format.value(message, other),
            }
        }));
    }

    fn span_fields(&mut self, format: Format, span: &SpanFields) {
        for (name, value) in &span.0 {
            if !self.seen.contains(name) && !name.starts_with("otel.") {
                key(format, &mut self.fields, name);
                self.fields.extend_from_slice(value);
                self.seen.push(name);
            }
        }
    }

    fn clear(&mut self) {
        for buffer in [&mut self.line, &mut self.message, &mut self.fields] {
            buffer.clear();
            // Do not keep the memory of a backtrace.
            buffer.shrink_to(16 << 10);
        }
        self.seen.clear();
    }
}

/// A span's fields, their values as written in the line's format.
#[derive(Default)]
struct SpanFields(Vec<(&'static str, Vec<u8>)>);

impl SpanFields {
    fn set(&mut self, format: Format, name: &'static str, value: Value<'_>) {
        let mut written = Vec::new();
        format.value(&mut written, value);
        self.put(name, written);
    }

    fn merge(&mut self, added: Self) {
        for (name, written) in added.0 {
            self.put(name, written);
        }
    }

    fn put(&mut self, name: &'static str, written: Vec<u8>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => _ = mem::replace(old, written),
            None => self.0.push((name, written)),
        }
    }
}

fn key(format: Format, out: &mut Vec<u8>, name: &str) {
    if OWN_NAMES.contains(&name) {
        format.key(out, &format!("field.{name}"));
    } else {
        format.key(out, name);
    }
}

/// Appends the ids of the current request, and in JSON of the span where one is recorded: nobody types it at a terminal.
fn identity(format: Format, line: &mut Vec<u8>) {
    let active = active_span();
    request::with_current(|request| {
        if let Some(request) = request {
            format.field(line, name!("request_id"), Value::Text(format.id(request.id())));
        }
        let trace_id = request.map(|request| request.trace.trace_id.0);
        let trace_id = trace_id.or(active.map(|(trace_id, _)| u128::from_be_bytes(trace_id.to_bytes())));
        if let Some(trace_id) = trace_id {
            format.field(line, name!("trace_id"), Value::Id(trace_id));
        }
    });
    if let (Format::Json, Some((_, span_id))) = (format, active) {
        format.field(line, name!("span_id"), Value::Printed(format_args!("{span_id}")));
    }
}

/// The recorded span that this thread is in.
fn active_span() -> Option<(TraceId, SpanId)> {
    OtelContext::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_sampled().then(|| (span.trace_id(), span.span_id()))
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde_json::Value as Json;
    use tracing::{Dispatch, dispatcher, info, info_span, warn};
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;
    use crate::telemetry::{
        test::{Captured, context, counter, share_callsites},
        text::Colour,
    };

    fn lines(format: Format, f: impl FnOnce()) -> Vec<String> {
        share_callsites();
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        let subscriber = Registry::default().with(LogLayer::new(sink.clone(), format));
        dispatcher::with_default(&Dispatch::new(subscriber), f);
        assert!(sink.flush(std::time::Duration::from_secs(5)));
        captured.text().lines().map(str::to_owned).collect()
    }

    fn json(f: impl FnOnce()) -> Vec<Json> {
        lines(Format::Json, f).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn hostile_values_stay_json() {
        struct Noisy;
        impl fmt::Debug for Noisy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                info!("from within");
                f.write_str("\"}\n{\u{0}")
            }
        }
        let lines = json(|| {
            let text = "\"},\n{\"level\":\"\u{1b}[31m";
            warn!(text, nan = f64::NAN, wide = u128::MAX, big = u64::MAX, min = i64::MIN, yes = true, noisy = ?Noisy, "{text}");
        });
        // A scoped subscriber does not hear the line from within; a global one does.
        let line = lines.last().unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "\"},\n{\"level\":\"\u{1b}[31m");
        assert_eq!(line["text"], line["message"]);
        assert_eq!(line["nan"], "NaN");
        assert_eq!(line["wide"], u128::MAX.to_string());
        assert_eq!(line["big"], u64::MAX);
        assert_eq!(line["min"], i64::MIN);
        assert_eq!(line["yes"], true);
        assert_eq!(line["noisy"], "\"}\n{\u{0}");
    }

    #[test]
    fn span_fields_are_flattened_and_the_innermost_wins() {
        let lines = lines(Format::Json, || {
            let outer = info_span!("outer", a = "outer", b = 1, late = tracing::field::Empty, otel.name = "GET");
            let inner = outer.in_scope(|| info_span!("inner", a = "inner", level = "mine"));
            outer.record("late", 7);
            outer.record("b", 2);
            inner.in_scope(|| info!(c = "event", late = 8, "hello"));
        });
        assert_eq!(lines[0].matches("\"a\":").count(), 1);
        assert!(!lines[0].contains("otel"), "{}", lines[0]);
        let line: Json = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (&line["a"], &line["b"], &line["c"], &line["late"]),
            (&"inner".into(), &2.into(), &"event".into(), &8.into())
        );
        assert_eq!((&line["level"], &line["field.level"]), (&"INFO".into(), &"mine".into()));
    }

    #[test]
    fn lines_within_a_request_carry_its_ids() {
        let lines = json(|| {
            request::enter(&context(0xabc, false), || info!("inside"));
            info!("outside");
        });
        assert_eq!(lines[0]["request_id"], "r-1");
        assert_eq!(lines[0]["trace_id"], "00000000000000000000000000000abc");
        assert_eq!(lines[0].get("span_id"), None);
        assert_eq!(lines[1].get("trace_id"), None);
    }

    #[test]
    fn text_is_one_readable_line_with_short_ids_at_its_end() {
        let lines = lines(Format::Text(Colour::Plain), || {
            info!(target: "here", name = "a b", n = 1, "two\nlines");
            request::enter(&context(0xabc << 100, false), || info!(target: "here", n = 1, "inside"));
        });
        assert_eq!(&lines[0][24..], r#"  INFO here: two\nlines name="a b" n=1"#);
        assert_eq!(&lines[1][24..], "  INFO here: inside n=1 request_id=r-1 trace_id=0000abc0");
    }
}
