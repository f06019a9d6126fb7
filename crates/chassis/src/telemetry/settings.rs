//! Settings `telemetry.*`.
//!
//! Next: [`super::filter`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{filter, target::Signal};
use crate::values::{Check, Duration, Secret, SettingError, SettingErrors};

/// Settings `telemetry.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `json`, `text`, or `auto`: text on a terminal, JSON elsewhere.
    pub log_format: LogFormat,
    /// Log filter: a level, or comma-separated `target=level` pairs.
    #[schemars(extend("x-reloadable" = true))]
    pub log_filter: String,
    /// Whether each request is logged (target `access`).
    #[schemars(extend("x-reloadable" = true))]
    pub access_log: bool,
    /// OTLP collector, as `http://host:port`, or `https://` with the feature `tls`; unset disables tracing. `OTEL_EXPORTER_OTLP_ENDPOINT` also sets it.
    pub otlp_endpoint: Option<String>,
    /// OTLP transport: `grpc` or `http/protobuf`. `OTEL_EXPORTER_OTLP_PROTOCOL` also sets it.
    pub otlp_protocol: OtlpProtocol,
    /// Whether logs are also sent over OTLP.
    pub otlp_logs: bool,
    /// Headers of every export, as `name=value,name=value` with percent-encoded values. `OTEL_EXPORTER_OTLP_HEADERS` also sets it.
    pub otlp_headers: Option<Secret>,
    /// Time of one export with all its attempts. `OTEL_EXPORTER_OTLP_TIMEOUT` also sets it, in milliseconds.
    pub otlp_timeout: Duration,
    /// PEM file with the authorities that may have issued the certificate of an `https` collector, instead of Mozilla's list; it is read at the start. `OTEL_EXPORTER_OTLP_CERTIFICATE` also sets it.
    pub otlp_ca_file: Option<String>,
    /// PEM file with the certificate and its chain that an `https` collector may ask for. `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` also sets it.
    pub otlp_client_certificate_file: Option<String>,
    /// PEM file with its key. `OTEL_EXPORTER_OTLP_CLIENT_KEY` also sets it.
    pub otlp_client_key_file: Option<String>,
    /// `otlp`, `console`: spans as lines of JSON on stdout, `none`, or `auto`: OTLP where there is an endpoint. `OTEL_TRACES_EXPORTER` also sets it.
    pub traces_exporter: TracesExporter,
    /// What the export of spans has of its own.
    pub traces: SignalSettings,
    /// What the export of logs has of its own.
    pub logs: SignalSettings,
    /// Share of traces that is sampled, 0 to 1; see `parent_based`.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-reloadable" = true))]
    pub sample_ratio: f64,
    /// Whether a trusted caller's sampling decision is kept, and `sample_ratio` applies to new traces alone. `OTEL_TRACES_SAMPLER` also sets it.
    #[schemars(extend("x-reloadable" = true))]
    pub parent_based: bool,
}

/// Settings of one signal that take the place of those of all signals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignalSettings {
    /// Collector of this signal alone; over HTTP with the path.
    pub endpoint: Option<String>,
    /// In the place of `telemetry.otlp_protocol`.
    pub protocol: Option<OtlpProtocol>,
    /// In the place of `telemetry.otlp_headers`.
    pub headers: Option<Secret>,
    /// In the place of `telemetry.otlp_timeout`.
    pub timeout: Option<Duration>,
    /// In the place of `telemetry.otlp_ca_file`.
    pub ca_file: Option<String>,
    /// In the place of `telemetry.otlp_client_certificate_file`; with `client_key_file`.
    pub client_certificate_file: Option<String>,
    /// In the place of `telemetry.otlp_client_key_file`.
    pub client_key_file: Option<String>,
}

/// Where spans go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TracesExporter {
    /// Over OTLP where there is an endpoint, else nowhere.
    #[default]
    Auto,
    /// Over OTLP; needs an endpoint.
    Otlp,
    /// To stdout, one JSON object a line: for a look while developing.
    Console,
    /// Nowhere.
    None,
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
            otlp_headers: None,
            otlp_timeout: Duration::from_secs(5),
            otlp_ca_file: None,
            otlp_client_certificate_file: None,
            otlp_client_key_file: None,
            traces_exporter: TracesExporter::Auto,
            traces: SignalSettings::default(),
            logs: SignalSettings::default(),
            sample_ratio: 0.1,
            parent_based: true,
        }
    }
}

impl Settings {
    /// Every setting that cannot be used, as its key (from the root) and the reason, which does not repeat the value.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if let Err(reason) = filter::parse(&self.log_filter) {
            problems.push(("telemetry.log_filter", reason));
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            problems.push(("telemetry.sample_ratio", "expected a number from 0 to 1".into()));
        }
        self.problems_of_exports(&mut problems);
        problems
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        for (key, message) in self.problems() {
            errors.push(SettingError::new(key.trim_start_matches("telemetry."), message));
        }
        if self.otlp_logs && !self.has_endpoint(Signal::Logs) {
            let message = "otlp_logs needs otlp_endpoint or logs.endpoint";
            errors.push(SettingError::between(["otlp_logs", "otlp_endpoint"], message));
        }
        if self.traces_exporter == TracesExporter::Otlp && !self.has_endpoint(Signal::Traces) {
            let message = "traces_exporter otlp needs otlp_endpoint or traces.endpoint";
            errors.push(SettingError::between(["traces_exporter", "otlp_endpoint"], message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_have_no_problem() {
        assert_eq!(Settings::default().problems(), []);
    }

    #[test]
    fn every_problem_is_named_and_no_value_repeated() {
        let settings = Settings {
            log_filter: "inof".into(),
            sample_ratio: f64::NAN,
            otlp_endpoint: Some("hunter2".into()),
            ..Settings::default()
        };
        let problems = settings.problems();
        let keys: Vec<_> = problems.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["telemetry.log_filter", "telemetry.sample_ratio", "telemetry.otlp_endpoint"]);
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
}
