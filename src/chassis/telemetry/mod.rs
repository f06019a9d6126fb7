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

/// Stub; the lead's replaces it.
#[derive(Clone, Debug, Default)]
pub struct Propagation(());

impl Propagation {
    /// Writes the trace context of the current span into `headers`.
    pub fn inject(&self, headers: &mut http::HeaderMap) {
        headers.insert("traceparent", http::HeaderValue::from_static("stub"));
    }
}
