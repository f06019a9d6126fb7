//! The load as a header of ORCA, the Open Request Cost Aggregation of Envoy, gRPC, Istio and Google's balancers
//! (`xds.data.orca.v3.OrcaLoadReport`).
//!
//! Envoy weighs a host by `rps_fractional` over the first of `application_utilization` and `cpu_utilization`. A report
//! without requests, or with a utilization of 0, counts for nothing there.
//!
//! Next: [`crate::middleware`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::utilization::Load;
use crate::telemetry::protobuf;

const TEXT: HeaderName = HeaderName::from_static("endpoint-load-metrics");
const BINARY: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");

/// 0.01: an idle replica is almost empty, not without a load.
pub(super) const LEAST: f64 = 0.01;

/// 0.05 requests a second: what is left of a rate some ten seconds after the last request.
pub(super) const LEAST_RATE: f64 = 0.05;

/// The form of the load report that responses carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadReport {
    /// No report.
    #[default]
    Off,
    /// `endpoint-load-metrics: JSON {…}`.
    Json,
    /// `endpoint-load-metrics: TEXT name=value,…`.
    Text,
    /// `endpoint-load-metrics-bin`: a protobuf message in base64.
    Bin,
}

impl LoadReport {
    /// None where there is nothing to say.
    pub(super) fn header(self, load: &Load) -> Option<(HeaderName, HeaderValue)> {
        if load.answered < LEAST_RATE {
            return None;
        }
        // Names of the message and their numbers there.
        let fields = [
            ("cpu_utilization", 1, load.cpu.max(LEAST)),
            ("rps_fractional", 6, load.answered),
            ("eps", 7, load.failed),
            ("application_utilization", 9, load.utilization.max(LEAST)),
        ];
        let join = |between: &str, field: fn(&str, f64) -> String| {
            fields.map(|(name, _, value)| field(name, value)).join(between)
        };
        let (name, value) = match self {
            Self::Off => return None,
            Self::Json => (TEXT, format!("JSON {{{}}}", join(",", |name, value| format!("\"{name}\":{value:.4}")))),
            Self::Text => (TEXT, format!("TEXT {}", join(",", |name, value| format!("{name}={value:.4}")))),
            Self::Bin => (BINARY, STANDARD.encode(message(fields.map(|(_, number, value)| (number, value))))),
        };
        Some((name, HeaderValue::from_str(&value).ok()?))
    }
}

fn message(fields: [(u64, f64); 4]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in fields {
        protobuf::double(&mut out, number, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { utilization: 0.5, cpu: 0.25, answered: 120.5, failed: 0.0 };

    #[test]
    fn each_form_says_the_same() {
        let told = |form: LoadReport| {
            let (name, value) = form.header(&LOAD).expect("a report");
            format!("{name}: {}", value.to_str().expect("text"))
        };
        assert_eq!(
            told(LoadReport::Json),
            "endpoint-load-metrics: JSON {\"cpu_utilization\":0.2500,\"rps_fractional\":120.5000,\"eps\":0.0000,\
             \"application_utilization\":0.5000}"
        );
        assert_eq!(
            told(LoadReport::Text),
            "endpoint-load-metrics: TEXT cpu_utilization=0.2500,rps_fractional=120.5000,eps=0.0000,\
             application_utilization=0.5000"
        );
        // By protoc: cpu_utilization: 0.25 rps_fractional: 120.5 eps: 0 (written all the same) application_utilization: 0.5.
        let bytes = [
            &[0x09][..],
            &0.25_f64.to_le_bytes(),
            &[0x31],
            &120.5_f64.to_le_bytes(),
            &[0x39],
            &0.0_f64.to_le_bytes(),
            &[0x49],
            &0.5_f64.to_le_bytes(),
        ]
        .concat();
        assert_eq!(told(LoadReport::Bin), format!("endpoint-load-metrics-bin: {}", STANDARD.encode(bytes)));
    }

    #[test]
    fn without_requests_there_is_no_report_and_idle_is_not_nothing() {
        assert_eq!(LoadReport::Off.header(&LOAD), None);
        assert_eq!(LoadReport::Json.header(&Load { answered: 0.04, ..LOAD }), None);
        let idle = LoadReport::Text.header(&Load { utilization: 0.0, cpu: 0.0, ..LOAD }).expect("a report").1;
        assert!(idle.to_str().expect("text").contains("application_utilization=0.0100"), "{idle:?}");
    }
}
