//! Standard `OTEL_` variables that map to settings; they rank below `APP__` names and above files.
//!
//! An empty value means unset, as in the OpenTelemetry specification. An unsupported value is refused, since
//! the specification's advice to warn and continue would silently lose traces.
//!
//! Next: [`super::port`].

use super::value::{Leaf, Value};
use crate::values::{SettingError, SettingErrors, Source};
use crate::{process::Environment, telemetry};

const ENDPOINT: &str = "telemetry.otlp_endpoint";
const PROTOCOL: &str = "telemetry.otlp_protocol";
const RATIO: &str = "telemetry.sample_ratio";

/// Names whose value is the setting's own; a later one wins.
const PLAIN: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ENDPOINT),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOL),
];

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The settings among the standard names; what cannot be followed joins `errors`.
pub(super) fn leaves(environment: &Environment, errors: &mut SettingErrors) -> Vec<Leaf> {
    for name in environment.unreadable() {
        if let Some(key) = key_of(name) {
            errors.push(refusal(key, name, "expected UTF-8 text"));
        }
    }
    let mut leaves: Vec<Leaf> = PLAIN
        .iter()
        .filter_map(|(name, key)| Some(leaf(key, name, Value::Variable(environment.filled(name)?.to_owned()))))
        .collect();
    leaves.extend(sampler(environment, errors));
    leaves.extend(disabled(environment, errors));
    // Variables without a setting are handled by telemetry.
    for refused in telemetry::refused(&|name| environment.get(name).map(ToOwned::to_owned)) {
        errors.push(SettingError::of_source(Source::Variable(refused.key.to_owned()), refused.reason));
    }
    leaves
}

fn key_of(name: &str) -> Option<&'static str> {
    match name {
        SAMPLER | SAMPLER_ARG => Some(RATIO),
        DISABLED => Some(ENDPOINT),
        _ => PLAIN.iter().find(|(plain, _)| *plain == name).map(|(_, key)| *key),
    }
}

fn sampler(environment: &Environment, errors: &mut SettingErrors) -> Option<Leaf> {
    let fixed = |ratio: i128| Some(leaf(RATIO, SAMPLER, Value::Integer(ratio)));
    match environment.filled(SAMPLER)? {
        "always_on" | "parentbased_always_on" => fixed(1),
        "always_off" | "parentbased_always_off" => fixed(0),
        "traceidratio" | "parentbased_traceidratio" => match environment.filled(SAMPLER_ARG) {
            Some(ratio) => Some(leaf(RATIO, SAMPLER_ARG, Value::Variable(ratio.to_owned()))),
            // The specification's default for an absent argument.
            None => fixed(1),
        },
        _ => {
            let known = "expected always_on, always_off, traceidratio, or one of them after `parentbased_`";
            errors.push(refusal(RATIO, SAMPLER, known));
            None
        }
    }
}

fn disabled(environment: &Environment, errors: &mut SettingErrors) -> Vec<Leaf> {
    match environment.filled(DISABLED).map(str::to_ascii_lowercase).as_deref() {
        Some("true") => vec![
            leaf(ENDPOINT, DISABLED, Value::Null),
            // Without an endpoint nothing is exported.
            leaf("telemetry.otlp_logs", DISABLED, Value::Bool(false)),
        ],
        None | Some("false") => Vec::new(),
        Some(_) => {
            errors.push(refusal(ENDPOINT, DISABLED, "expected `true` or `false`"));
            Vec::new()
        }
    }
}

fn leaf(key: &str, name: &str, value: Value) -> Leaf {
    let path = key.split('.').map(ToOwned::to_owned).collect();
    Leaf { path, value, source: Source::Variable(name.to_owned()) }
}

fn refusal(key: &str, name: &str, message: &str) -> SettingError {
    SettingError::new(key, message).found_in(Source::Variable(name.to_owned()))
}
