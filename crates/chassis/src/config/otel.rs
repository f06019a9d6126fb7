//! Standard `OTEL_` variables; they rank below `APP__` names and above files.
//!
//! An empty value means unset, as in the OpenTelemetry specification. An unsupported value is refused, since
//! the specification's advice to warn and continue would silently lose traces. `OTEL_SDK_DISABLED` and an exporter
//! `none` rank above all: they are how a platform silences what it runs.
//!
//! Next: [`super::otel_names`].

use super::{
    otel_names::{self, variable},
    value::{Leaf, Value},
};
use crate::values::{SettingError, SettingErrors, Source};
use crate::{process::Environment, telemetry::standard};

const RATIO: &str = "telemetry.sample_ratio";
const PARENT_BASED: &str = "telemetry.parent_based";
const EXPORTER: &str = "telemetry.traces_exporter";
const LOGS: &str = "telemetry.otlp_logs";

/// Names whose value is the setting's own.
const PLAIN: [(&str, &str); 18] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry.traces.endpoint"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "telemetry.logs.endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "telemetry.otlp_protocol"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "telemetry.traces.protocol"),
    ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "telemetry.logs.protocol"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "telemetry.otlp_headers"),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "telemetry.traces.headers"),
    ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "telemetry.logs.headers"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "telemetry.otlp_ca_file"),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "telemetry.traces.ca_file"),
    ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "telemetry.logs.ca_file"),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "telemetry.otlp_client_certificate_file"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "telemetry.traces.client_certificate_file"),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "telemetry.logs.client_certificate_file"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "telemetry.otlp_client_key_file"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "telemetry.traces.client_key_file"),
    ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "telemetry.logs.client_key_file"),
];

/// Names whose value is a number of milliseconds.
const TIMEOUTS: [(&str, &str); 3] = [
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "telemetry.otlp_timeout"),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "telemetry.traces.timeout"),
    ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "telemetry.logs.timeout"),
];

/// Keys of all signals, and what the key of one signal that takes their place ends with.
const GENERAL: [(&str, &str); 7] = [
    ("telemetry.otlp_endpoint", "endpoint"),
    ("telemetry.otlp_protocol", "protocol"),
    ("telemetry.otlp_headers", "headers"),
    ("telemetry.otlp_timeout", "timeout"),
    ("telemetry.otlp_ca_file", "ca_file"),
    ("telemetry.otlp_client_certificate_file", "client_certificate_file"),
    ("telemetry.otlp_client_key_file", "client_key_file"),
];

/// An hour, in the variables' unit: longer than any sensible timeout.
const MAX_TIMEOUT_MS: u64 = 3_600_000;

/// The settings among the standard names.
#[derive(Default)]
pub(super) struct Standard {
    /// Those that rank below `APP__` names.
    pub(super) leaves: Vec<Leaf>,
    /// Those that rank above them.
    pub(super) silencing: Vec<Leaf>,
    /// Names that have no effect, one line each.
    pub(super) remarks: Vec<String>,
}

/// Reads the standard names; what cannot be followed joins `errors`.
pub(super) fn read(environment: &Environment, errors: &mut SettingErrors) -> Standard {
    let mut standard = Standard { remarks: otel_names::remarks(environment), ..Standard::default() };
    otel_names::refuse(environment, errors);
    // Variables without a setting are handled by telemetry.
    for refused in standard::refused(&|name| environment.get(name).map(ToOwned::to_owned)) {
        errors.push(SettingError::of_source(Source::Variable(refused.key.to_owned()), refused.reason));
    }
    let plain = PLAIN.iter().filter_map(|(name, key)| Some((name, key, environment.filled(name)?)));
    standard.leaves.extend(plain.map(|(name, key, text)| leaf(key, name, Value::Variable(text.to_owned()))));
    timeouts(environment, &mut standard, errors);
    sampler(environment, &mut standard, errors);
    exporters(environment, &mut standard, errors);
    disabled(environment, &mut standard, errors);
    standard
}

/// Takes out of `leaves` what a stronger `layer` sets for all signals.
pub(super) fn hide(leaves: &mut Vec<Leaf>, layer: &[Leaf]) {
    for (_, own) in GENERAL.iter().filter(|(general, _)| layer.iter().any(|leaf| leaf.key() == *general)) {
        let hidden = ["traces", "logs"].map(|signal| format!("telemetry.{signal}.{own}"));
        leaves.retain(|leaf| !hidden.contains(&leaf.key()));
    }
}

fn timeouts(environment: &Environment, standard: &mut Standard, errors: &mut SettingErrors) {
    for (name, key) in TIMEOUTS {
        match environment.filled(name).map(str::parse) {
            None => {}
            Some(Ok(milliseconds @ 1..=MAX_TIMEOUT_MS)) => {
                standard.leaves.push(leaf(key, name, Value::Text(format!("{milliseconds}ms"))));
            }
            Some(_) => {
                errors.push(refusal(key, name, &format!("expected milliseconds, from 1 to {MAX_TIMEOUT_MS}")));
            }
        }
    }
}

fn sampler(environment: &Environment, standard: &mut Standard, errors: &mut SettingErrors) {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let argument = environment.filled(ARGUMENT);
    if argument.is_some_and(|text| !text.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio))) {
        errors.push(refusal(RATIO, ARGUMENT, "expected a number from 0 to 1"));
    }
    let sampler = environment.filled(SAMPLER).unwrap_or_default();
    let own = sampler.strip_prefix("parentbased_");
    let ratio = match own.unwrap_or(sampler) {
        "always_on" => leaf(RATIO, SAMPLER, Value::Integer(1)),
        "always_off" => leaf(RATIO, SAMPLER, Value::Integer(0)),
        "traceidratio" => match argument {
            Some(ratio) => leaf(RATIO, ARGUMENT, Value::Variable(ratio.to_owned())),
            // The specification's default for an absent argument.
            None => leaf(RATIO, SAMPLER, Value::Integer(1)),
        },
        "" if own.is_none() => return unused(argument, ARGUMENT, standard),
        _ => {
            let known = "expected always_on, always_off, traceidratio, or one of them after `parentbased_`";
            return errors.push(refusal(RATIO, SAMPLER, known));
        }
    };
    if ratio.source != variable(ARGUMENT) {
        unused(argument, ARGUMENT, standard);
    }
    standard.leaves.extend([ratio, leaf(PARENT_BASED, SAMPLER, Value::Bool(own.is_some()))]);
}

fn unused(argument: Option<&str>, name: &str, standard: &mut Standard) {
    if argument.is_some() {
        standard.remarks.push(format!("{name} has no effect: no sampler takes it"));
    }
}

fn exporters(environment: &Environment, standard: &mut Standard, errors: &mut SettingErrors) {
    const TRACES: &str = "OTEL_TRACES_EXPORTER";
    const LOG_RECORDS: &str = "OTEL_LOGS_EXPORTER";
    const EXPECTED: &str = "expected otlp, console or none";
    match environment.filled(TRACES) {
        None => {}
        Some("none") => standard.silencing.push(leaf(EXPORTER, TRACES, Value::Text("none".into()))),
        Some(text @ ("otlp" | "console")) => standard.leaves.push(leaf(EXPORTER, TRACES, Value::Text(text.into()))),
        Some(_) => errors.push(refusal(EXPORTER, TRACES, EXPECTED)),
    }
    let named = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT";
    match environment.filled(LOG_RECORDS) {
        None if environment.filled(named).is_some() => standard.leaves.push(leaf(LOGS, named, Value::Bool(true))),
        None => {}
        Some("otlp") => standard.leaves.push(leaf(LOGS, LOG_RECORDS, Value::Bool(true))),
        // The log is on stdout in any case.
        Some("console") => standard.leaves.push(leaf(LOGS, LOG_RECORDS, Value::Bool(false))),
        Some("none") => standard.silencing.push(leaf(LOGS, LOG_RECORDS, Value::Bool(false))),
        Some(_) => errors.push(refusal(LOGS, LOG_RECORDS, EXPECTED)),
    }
}

fn disabled(environment: &Environment, standard: &mut Standard, errors: &mut SettingErrors) {
    const DISABLED: &str = "OTEL_SDK_DISABLED";
    match environment.filled(DISABLED).map(str::to_ascii_lowercase).as_deref() {
        Some("true") => standard
            .silencing
            .extend([leaf(EXPORTER, DISABLED, Value::Text("none".into())), leaf(LOGS, DISABLED, Value::Bool(false))]),
        None | Some("false") => {}
        Some(_) => errors.push(refusal(EXPORTER, DISABLED, "expected `true` or `false`")),
    }
}

fn leaf(key: &str, name: &str, value: Value) -> Leaf {
    let path = key.split('.').map(ToOwned::to_owned).collect();
    Leaf { path, value, source: variable(name) }
}

fn refusal(key: &str, name: &str, message: &str) -> SettingError {
    SettingError::new(key, message).found_in(variable(name))
}
