//! Logs, metrics and traces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings `telemetry.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `json`, `text`, or `auto`: text on a terminal, JSON elsewhere.
    pub log_format: LogFormat,
    /// What is logged: a level, or `target=level` pairs with commas. Reloadable.
    pub log_filter: String,
    /// Whether each request writes a line (target `access`). Reloadable.
    pub access_log: bool,
    /// Where spans go, as `http://host:port`; none turns tracing off. The standard `OTEL_EXPORTER_OTLP_ENDPOINT` counts too.
    pub otlp_endpoint: Option<String>,
    /// How they are carried: `grpc` or `http/protobuf`. The standard `OTEL_EXPORTER_OTLP_PROTOCOL` counts too.
    pub otlp_protocol: OtlpProtocol,
    /// Whether log lines are sent over OTLP as well.
    pub otlp_logs: bool,
    /// The share of new traces that is recorded, 0 to 1; a caller's decision is followed. Reloadable.
    pub sample_ratio: f64,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// Protobuf over gRPC, port 4317 by custom.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP, port 4318 by custom.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Auto,
            log_filter: "info".into(),
            access_log: true,
            otlp_endpoint: None,
            otlp_protocol: OtlpProtocol::Grpc,
            otlp_logs: false,
            sample_ratio: 0.1,
        }
    }
}

// STUB, replaced at merge.
#[derive(Clone, Debug)]
pub struct AccessLog;
pub struct AccessRecord<'a> {
    pub context: &'a crate::chassis::request::RequestContext,
    pub method: &'static str,
    pub route: &'a str,
    pub path: &'a str,
    pub version: http::Version,
    pub status: u16,
    pub duration: std::time::Duration,
    pub request_bytes: Option<u64>,
    pub response_bytes: u64,
    pub peer: Option<std::net::SocketAddr>,
    pub user_agent: Option<&'a str>,
}
impl AccessLog {
    pub fn write(&self, _: &AccessRecord<'_>) {}
}
#[derive(Clone, Debug)]
pub struct Tracing;
pub struct SpanRecord<'a> {
    pub method: &'a str,
    pub route: &'a str,
    pub path: &'a str,
    pub version: http::Version,
    pub host: Option<&'a str>,
    pub peer: Option<std::net::SocketAddr>,
    pub user_agent: Option<&'a str>,
}
impl Tracing {
    pub fn sample(&self, _: &http::HeaderMap) -> (crate::chassis::request::TraceContext, Option<http::HeaderValue>) {
        Default::default()
    }
    pub fn server_span(&self, _: &SpanRecord<'_>) -> tracing::Span {
        tracing::Span::none()
    }
    pub fn finish_span(&self, _: &tracing::Span, _: u16) {}
}
#[derive(Clone, Debug)]
pub struct LogControl;
impl LogControl {
    pub fn filter(&self) -> String {
        String::new()
    }
    pub fn set_filter(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}
pub fn render(r: &prometheus::Registry) -> Vec<u8> {
    prometheus::TextEncoder::new().encode_to_string(&r.gather()).unwrap().into_bytes()
}

#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    pub service: String,
    pub version: String,
    pub replica: String,
    pub zone: Option<String>,
}
#[derive(Clone, Debug)]
pub struct Propagation;
impl Propagation {
    pub fn inject(&self, _: &mut http::HeaderMap) {}
}
#[derive(Clone, Debug)]
pub struct Telemetry {
    r: prometheus::Registry,
    p: Propagation,
    a: AccessLog,
    l: LogControl,
    t: Tracing,
}
pub fn start(_: &Settings, _: &Identity, _: impl Fn(&str) -> Option<String>) -> Result<Telemetry, String> {
    tracing_subscriber::fmt().json().init();
    Ok(Telemetry { r: prometheus::Registry::new(), p: Propagation, a: AccessLog, l: LogControl, t: Tracing })
}
impl Telemetry {
    pub fn registry(&self) -> &prometheus::Registry {
        &self.r
    }
    pub fn logs(&self) -> &LogControl {
        &self.l
    }
    pub fn tracing(&self) -> &Tracing {
        &self.t
    }
    pub fn access(&self) -> &AccessLog {
        &self.a
    }
    pub fn propagation(&self) -> &Propagation {
        &self.p
    }
    pub fn flush(&self, _: std::time::Duration) {}
    pub fn reload(&self, _: &Settings) -> Result<(), String> {
        Ok(())
    }
    pub fn observe_runtime(&self, _: &'static str, _: &tokio::runtime::Handle) {}
}
