//! Where the exports of one signal go, and how: its own settings over those of all signals.
//!
//! Next: [`super::sender`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    OtlpProtocol, Settings, StartError, pairs,
    settings::{SignalSettings, TracesExporter},
};
use crate::{trust::Files, values::Secret};

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

/// The collector of one signal.
#[derive(Debug)]
pub(super) struct Target {
    /// Over HTTP with the path.
    pub(super) endpoint: String,
    pub(super) protocol: OtlpProtocol,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    ca_file: Option<String>,
    own: Option<(String, String)>,
}

impl Target {
    /// For an `https` endpoint.
    pub(super) fn files(&self) -> Files<'_> {
        let own = self.own.as_ref().map(|(certificate, key)| (certificate.as_str(), key.as_str()));
        Files { authorities: self.ca_file.as_deref(), own }
    }
}

impl Settings {
    /// Where `signal` goes over OTLP; none where it does not.
    pub(super) fn target(&self, signal: Signal) -> Result<Option<Target>, StartError> {
        let is_sent = match signal {
            Signal::Traces => matches!(self.traces_exporter, TracesExporter::Auto | TracesExporter::Otlp),
            Signal::Logs => self.otlp_logs,
        };
        let own = self.of(signal);
        let protocol = own.protocol.unwrap_or(self.otlp_protocol);
        let Some(endpoint) = self.endpoint(signal, protocol).filter(|_| is_sent) else { return Ok(None) };
        let headers = own.headers.as_ref().or(self.otlp_headers.as_ref());
        let headers = headers.map_or_else(|| Ok(HeaderMap::new()), headers_of);
        Ok(Some(Target {
            endpoint,
            protocol,
            headers: headers.map_err(|reason| StartError::new("telemetry.otlp_headers", reason))?,
            timeout: own.timeout.unwrap_or(self.otlp_timeout).get(),
            ca_file: own.ca_file.clone().or_else(|| self.otlp_ca_file.clone()),
            // A certificate and its key come from one place.
            own: own
                .client_certificate_file
                .clone()
                .zip(own.client_key_file.clone())
                .or_else(|| self.otlp_client_certificate_file.clone().zip(self.otlp_client_key_file.clone())),
        }))
    }

    /// Whether `signal` has a collector.
    pub(super) fn has_endpoint(&self, signal: Signal) -> bool {
        self.otlp_endpoint.is_some() || self.of(signal).endpoint.is_some()
    }

    /// The signal's own endpoint unchanged, else the base URL of all, with the signal's path over HTTP.
    fn endpoint(&self, signal: Signal, protocol: OtlpProtocol) -> Option<String> {
        if let Some(own) = &self.of(signal).endpoint {
            return Some(own.clone());
        }
        let base = self.otlp_endpoint.as_ref()?;
        let path = match signal {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
        };
        Some(match protocol {
            OtlpProtocol::Grpc => base.clone(),
            OtlpProtocol::HttpProtobuf => format!("{}{path}", base.trim_end_matches('/')),
        })
    }

    fn of(&self, signal: Signal) -> &SignalSettings {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
        }
    }
}

/// Headers as `name=value` pairs. An error never repeats a value.
pub(super) fn headers_of(list: &Secret) -> Result<HeaderMap, String> {
    let header = |(name, value): &(String, String)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
    };
    let pairs = pairs::parse(list.expose())?;
    pairs.iter().map(header).collect::<Option<HeaderMap>>().ok_or_else(|| "invalid header name or value".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Settings {
        Settings {
            otlp_endpoint: Some("http://all:4318/base/".into()),
            otlp_protocol: OtlpProtocol::HttpProtobuf,
            otlp_headers: Some("a=1,b=2".into()),
            otlp_logs: true,
            ..Settings::default()
        }
    }

    fn target(settings: &Settings, signal: Signal) -> Target {
        settings.target(signal).unwrap().unwrap()
    }

    #[test]
    fn both_signals_go_where_all_go() {
        let (traces, logs) = (target(&all(), Signal::Traces), target(&all(), Signal::Logs));
        assert_eq!(traces.endpoint, "http://all:4318/base/v1/traces");
        assert_eq!(logs.endpoint, "http://all:4318/base/v1/logs");
        assert_eq!((traces.headers.len(), logs.headers.len()), (2, 2));
        assert_eq!((traces.timeout, logs.timeout), (Duration::from_secs(5), Duration::from_secs(5)));
    }

    #[test]
    fn what_a_signal_has_of_its_own_takes_the_place_of_that_of_all() {
        let own = SignalSettings {
            endpoint: Some("http://own:4317".into()),
            protocol: Some(OtlpProtocol::Grpc),
            headers: Some("b=3".into()),
            timeout: Some(crate::values::Duration::from_millis(300)),
            ..SignalSettings::default()
        };
        let settings = Settings { traces: own, ..all() };
        let (traces, logs) = (target(&settings, Signal::Traces), target(&settings, Signal::Logs));
        assert_eq!((traces.endpoint.as_str(), traces.protocol), ("http://own:4317", OtlpProtocol::Grpc));
        // The headers of all may be credentials of another collector.
        assert_eq!((traces.headers.get("a"), &traces.headers["b"]), (None, &"3".parse::<HeaderValue>().unwrap()));
        assert_eq!(traces.timeout, Duration::from_millis(300));
        assert_eq!(
            (logs.endpoint.as_str(), logs.protocol),
            ("http://all:4318/base/v1/logs", OtlpProtocol::HttpProtobuf)
        );
        assert_eq!((logs.headers.len(), logs.timeout), (2, Duration::from_secs(5)));
    }

    #[test]
    fn a_signal_that_is_off_goes_nowhere() {
        let settings = Settings { traces_exporter: TracesExporter::None, otlp_logs: false, ..all() };
        assert!(settings.target(Signal::Traces).unwrap().is_none());
        assert!(settings.target(Signal::Logs).unwrap().is_none());
    }
}
