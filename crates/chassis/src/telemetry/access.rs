//! One line per request, formatted by hand: it is on every request's path and allocates only to truncate a text.
//!
//! Next: [`super::format`].

use std::{cell::Cell, io::Write as _, net::IpAddr, time::Duration};

use http::{StatusCode, Version};
use opentelemetry::{
    SpanId, TraceFlags,
    logs::{AnyValue, LogRecord, Logger, Severity},
};
use opentelemetry_sdk::logs::SdkLogger;
use tracing::Level;

use super::{
    constants::Constants,
    cut::{AGENT, PATH, cut},
    digits,
    filter::{ACCESS, LogControl},
    format::{Format, JsonFields, Name, Put, Value, json_head, name},
    sink::{Sink, Urgency},
};
use crate::request::TraceContext;

/// The fields of an access line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRecord<'a> {
    /// The request id: visible ASCII that JSON need not escape.
    pub request_id: &'a str,
    /// Its trace context.
    pub trace: &'a TraceContext,
    /// The method, `_OTHER` where it is not known.
    pub method: &'static str,
    /// The route's template.
    pub route: &'a str,
    /// Those of the route's lines with this method and status.
    pub constants: &'a Constants,
    /// The path without the query, which may hold secrets; written up to 1,024 bytes.
    pub path: &'a str,
    /// The HTTP version.
    pub version: Version,
    /// The status; 499 if the client disconnected first.
    pub status: StatusCode,
    /// From the head's arrival to the last byte.
    pub duration: Duration,
    /// Bytes of the request body, where known.
    pub request_bytes: Option<u64>,
    /// Bytes of the response body.
    pub response_bytes: u64,
    /// The peer's address, where it has one.
    pub client: Option<IpAddr>,
    /// The `user-agent`, where it is text; written up to 256 bytes.
    pub user_agent: Option<&'a str>,
}

/// Writes access lines if the filter for target `access` and `telemetry.access_log` allow it; cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessLog {
    sink: Sink,
    format: Format,
    control: LogControl,
    otlp: Option<SdkLogger>,
}

thread_local! {
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl AccessLog {
    pub(super) fn new(sink: Sink, format: Format, control: LogControl, otlp: Option<SdkLogger>) -> Self {
        Self { sink, format, control, otlp }
    }

    /// Writes `record`: 5xx as ERROR, all else as INFO.
    pub(crate) fn write(&self, record: &AccessRecord<'_>) {
        let failed = record.status.is_server_error();
        let (level, urgency) = if failed { (Level::ERROR, Urgency::Now) } else { (Level::INFO, Urgency::Batched) };
        if !self.control.wants_access(level) {
            return;
        }
        let mut line = LINE.take();
        match self.format {
            Format::Json => record.json(level, &mut line),
            Format::Text(_) => record.text(self.format, level, &mut line),
        }
        self.format.tail(&mut line);
        self.sink.write(&line, urgency);
        line.clear();
        LINE.set(line);
        if let Some(logger) = &self.otlp {
            record.emit(logger, level);
        }
    }
}

impl AccessRecord<'_> {
    /// Visits each field under its semantic-convention name.
    fn visit(&self, fields: &mut impl Put) {
        self.identified(fields);
        self.named(fields);
        fields.put(name!("url.path"), Value::Text(&cut(self.path, PATH)));
        self.answered(fields);
        self.measured(fields);
    }

    fn identified(&self, fields: &mut impl Put) {
        fields.put(name!("request_id"), Value::Plain(self.request_id));
        fields.put(name!("trace_id"), Value::Id(self.trace.trace_id.0));
        fields.put(name!("sampled"), Value::Bool(self.trace.sampled));
    }

    fn measured(&self, fields: &mut impl Put) {
        fields.put(name!("http.server.request.duration"), Value::Seconds(self.duration));
        if let Some(bytes) = self.request_bytes {
            fields.put(name!("http.request.body.size"), Value::Unsigned(bytes));
        }
        fields.put(name!("http.response.body.size"), Value::Unsigned(self.response_bytes));
        if let Some(client) = self.client {
            fields.put(name!("client.address"), Value::Address(client.to_canonical()));
        }
        if let Some(agent) = self.user_agent {
            fields.put(name!("user_agent.original"), Value::Text(&cut(agent, AGENT)));
        }
    }

    /// Appends the line up to its closing brace.
    fn json(&self, level: Level, line: &mut Vec<u8>) {
        json_head(line, level);
        line.extend_from_slice(br#""access""#);
        self.identified(&mut JsonFields(line));
        self.constants.append(line, self);
        self.measured(&mut JsonFields(line));
    }

    /// Appends what a person at a terminal looks for, ids last and short; JSON has the rest.
    fn text(&self, format: Format, level: Level, line: &mut Vec<u8>) {
        format.head(line, level, ACCESS);
        let path = cut(self.path, PATH);
        for value in [Value::Plain(self.method), Value::Text(&path), Value::Unsigned(self.status.as_u16().into())] {
            line.push(b' ');
            format.value(line, value);
        }
        let _ = write!(line, " {:.1}ms", self.duration.as_secs_f64() * 1e3);
        format.field(line, name!("bytes"), Value::Unsigned(self.response_bytes));
        if let Some(client) = self.client {
            format.field(line, name!("client"), Value::Address(client.to_canonical()));
        }
        format.field(line, name!("request_id"), Value::Plain(format.id(self.request_id)));
        // Without a sample there is no trace to look up.
        if self.trace.sampled {
            format.field(line, name!("trace_id"), Value::Id(self.trace.trace_id.0));
        }
    }

    fn emit(&self, logger: &SdkLogger, level: Level) {
        let mut log = logger.create_log_record();
        log.set_target(ACCESS);
        log.set_severity_number(if level == Level::ERROR { Severity::Error } else { Severity::Info });
        log.set_severity_text(level.as_str());
        log.set_body(format!("{} {} {}", self.method, cut(self.path, PATH), self.status.as_u16()).into());
        let flags = TraceFlags::default().with_sampled(self.trace.sampled);
        log.set_trace_context(self.trace.trace_id.0.into(), SpanId::INVALID, Some(flags));
        // By their names in `visit`: the trace context above carries these two.
        self.visit(&mut |name: Name, value: Value<'_>| {
            if !matches!(name.plain, "trace_id" | "sampled") {
                log.add_attribute(name.plain, any_value(value));
            }
        });
        logger.emit(log);
    }
}

fn any_value(value: Value<'_>) -> AnyValue {
    match value {
        Value::Text(text) | Value::Plain(text) => text.to_owned().into(),
        Value::Printed(arguments) => arguments.to_string().into(),
        Value::Signed(number) => number.into(),
        Value::Unsigned(number) => i64::try_from(number).unwrap_or(i64::MAX).into(),
        Value::Float(number) => number.into(),
        Value::Bool(flag) => flag.into(),
        Value::Address(address) => address.to_string().into(),
        Value::Id(number) => format!("{number:032x}").into(),
        #[expect(clippy::cast_precision_loss, reason = "below 2^52 for 142 years")]
        Value::Seconds(duration) => (digits::rounded(duration) as f64 / 1e6).into(),
    }
}

/// `network.protocol.version` of a version.
pub(super) fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::{
        request::TraceId,
        telemetry::{
            test::{Captured, counter},
            text::Colour,
        },
    };

    fn record<'a>(trace: &'a TraceContext, constants: &'a Constants) -> AccessRecord<'a> {
        AccessRecord {
            request_id: "r-1",
            trace,
            method: "POST",
            route: "/v1/quotes/{id}",
            constants,
            path: "/v1/quotes/\"%0a\u{1}",
            version: Version::HTTP_11,
            status: StatusCode::OK,
            duration: Duration::from_nanos(1_234_567),
            request_bytes: None,
            response_bytes: 42,
            client: Some("::ffff:10.0.0.7".parse().unwrap()),
            user_agent: Some("curl\n"),
        }
    }

    #[test]
    fn a_request_is_one_line_of_a_terminal_with_what_happened_first() {
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        let format = Format::Text(Colour::Plain);
        let log = AccessLog::new(sink.clone(), format, LogControl::new("info", true).unwrap(), None);
        let trace =
            TraceContext { trace_id: TraceId(0xabcd_ef01_2345 << 80), sampled: true, ..TraceContext::default() };
        let unsampled = TraceContext { sampled: false, ..trace.clone() };
        let (constants, failures) = <(Constants, Constants)>::default();
        let id = "0123456789abcdef0123456789abcdef";
        log.write(&AccessRecord { request_id: id, path: "/v1/quotes/7", ..record(&trace, &constants) });
        let failed = StatusCode::BAD_GATEWAY;
        log.write(&AccessRecord {
            status: failed,
            duration: Duration::from_secs(30),
            client: None,
            ..record(&unsampled, &failures)
        });
        assert!(sink.flush(Duration::from_secs(5)));
        let text = captured.text();
        let lines: Vec<&str> = text.lines().map(|line| &line["2026-01-31T12:34:56.789Z".len()..]).collect();
        let first =
            "  INFO access: POST /v1/quotes/7 200 1.2ms bytes=42 client=10.0.0.7 request_id=01234567 trace_id=abcdef01";
        // What a caller sends cannot look like another field.
        let second = r#" ERROR access: POST "/v1/quotes/\"%0a\u{1}" 502 30000.0ms bytes=42 request_id=r-1"#;
        assert_eq!(lines, [first, second]);
        assert!(text.lines().all(|line| line.len() <= 132), "wider than a wide terminal: {text}");
    }

    #[test]
    fn a_request_is_one_json_line_with_conventional_names() {
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        let control = LogControl::new("info", true).unwrap();
        let log = AccessLog::new(sink.clone(), Format::Json, control.clone(), None);
        let trace = TraceContext { trace_id: TraceId(0xff), sampled: true, ..TraceContext::default() };
        let (constants, failures) = <(Constants, Constants)>::default();
        log.write(&record(&trace, &constants));
        control.set_filter("info,access=error").unwrap();
        log.write(&record(&trace, &constants));
        log.write(&AccessRecord { status: StatusCode::BAD_GATEWAY, ..record(&trace, &failures) });
        assert!(sink.flush(Duration::from_secs(5)));
        let lines: Vec<Json> = captured.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        let mut first = lines[0].clone();
        first.as_object_mut().unwrap().shift_remove("timestamp");
        let expected = serde_json::json!({
            "level": "INFO", "target": "access", "request_id": "r-1",
            "trace_id": "000000000000000000000000000000ff", "sampled": true,
            "http.request.method": "POST", "http.route": "/v1/quotes/{id}", "url.path": "/v1/quotes/\"%0a\u{1}",
            "network.protocol.version": "1.1", "http.response.status_code": 200,
            "http.server.request.duration": 0.001_235, "http.response.body.size": 42,
            "client.address": "10.0.0.7", "user_agent.original": "curl\n",
        });
        assert_eq!(first, expected);
        // In this order, and without the timestamp that it begins with.
        let text = captured.text();
        let timeless = r#"","level":"INFO","target":"access","request_id":"r-1","trace_id":"000000000000000000000000000000ff","sampled":true,"http.request.method":"POST","http.route":"/v1/quotes/{id}","url.path":"/v1/quotes/\"%0a\u0001","network.protocol.version":"1.1","http.response.status_code":200,"http.server.request.duration":0.001235,"http.response.body.size":42,"client.address":"10.0.0.7","user_agent.original":"curl\n"}"#;
        assert_eq!(text.lines().next().unwrap()[r#"{"timestamp":"2026-01-31T12:34:56.789Z"#.len()..], *timeless);
        assert_eq!(lines[1]["level"], "ERROR");
    }
}
