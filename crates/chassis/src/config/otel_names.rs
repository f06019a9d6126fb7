//! Standard names without a setting: what is refused, what has no effect, and their table in the reference.
//!
//! Next: [`super::port`].

use std::fmt::Write;

use crate::{
    process::Environment,
    telemetry::standard::{self, NAMES, Standard, Usage},
    values::{SettingError, SettingErrors, Source},
};

const PREFIX: &str = "OTEL_";

/// Names that have no effect, a line for each that the specification has, and one for all others.
pub(super) fn remarks(environment: &Environment) -> Vec<String> {
    let (mut remarks, mut unknown) = (Vec::new(), Vec::new());
    let filled = environment.variables().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    for name in filled.chain(environment.unreadable()).filter(|name| name.starts_with(PREFIX)) {
        match standard::find(name) {
            Some(standard) if standard.usage == Usage::Warned => {
                remarks.push(format!("{name} has no effect: {}", standard.effect));
            }
            Some(_) => {}
            None if is_of_a_kubernetes_service(name, environment) => {}
            None => unknown.push(name),
        }
    }
    if !unknown.is_empty() {
        remarks.push(format!("unknown names have no effect: {}", unknown.join(", ")));
    }
    remarks
}

/// Kubernetes names every Service of the namespace in variables: for one called `otel-collector` there are
/// `OTEL_COLLECTOR_SERVICE_HOST`, `OTEL_COLLECTOR_PORT_4317_TCP` and so on. Nobody meant them for a service.
fn is_of_a_kubernetes_service(name: &str, environment: &Environment) -> bool {
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    ends.iter()
        .flat_map(|end| name.match_indices(end))
        .any(|(at, _)| environment.get(&format!("{}_SERVICE_HOST", &name[..at])).is_some())
}

/// Adds to `errors` what may have no value, or only some, although it is no setting.
pub(super) fn refuse(environment: &Environment, errors: &mut SettingErrors) {
    for name in environment.unreadable().filter(|name| name.starts_with(PREFIX)) {
        if standard::find(name).is_some_and(|standard| standard.usage != Usage::Warned) {
            errors.push(SettingError::of_source(variable(name), "expected UTF-8 text"));
        }
    }
    for standard in NAMES.iter().filter(|standard| standard.usage != Usage::Warned) {
        for name in standard.names() {
            let Some(value) = environment.filled(&name) else { continue };
            let found = if standard.usage == Usage::Refused { Err(standard.effect) } else { check(&name, value) };
            if let Err(message) = found {
                errors.push(SettingError::of_source(variable(&name), message));
            }
        }
    }
}

/// Whether `value` is one of the few that a name without a setting may have.
fn check(name: &str, value: &str) -> Result<(), &'static str> {
    let is_one_of = |values: &[&str]| values.contains(&value);
    let (fits, message) = if name.ends_with("COMPRESSION") {
        // It would need another crate, for traffic inside the cluster.
        (is_one_of(&["none"]), "expected `none`; compression is not supported")
    } else if name.ends_with("INSECURE") {
        let value = value.to_ascii_lowercase();
        (matches!(value.as_str(), "true" | "false"), "expected `true` or `false`")
    } else if name == "OTEL_METRICS_EXPORTER" {
        let message = "expected `none` or `prometheus`: metrics are scraped from /metrics and never pushed";
        (is_one_of(&["none", "prometheus"]), message)
    } else {
        (true, "")
    };
    if fits { Ok(()) } else { Err(message) }
}

/// Markdown: every name, and what it does; neighbours that do the same share a row.
pub(super) fn table() -> String {
    let mut text = String::from(INTRODUCTION);
    for same in NAMES.chunk_by(|one, next| (one.usage, one.effect) == (next.usage, next.effect)) {
        let names: Vec<String> = same.iter().flat_map(Standard::names).map(|name| format!("`{name}`")).collect();
        let usage = match same[0].usage {
            Usage::Followed => "followed",
            Usage::Refused => "refused",
            Usage::Warned => "no effect, with a warning",
        };
        let _ = writeln!(text, "| {} | {usage} | {} |", names.join(", "), same[0].effect);
    }
    text
}

const INTRODUCTION: &str = "
## OpenTelemetry's names

The standard names rank above files and below `APP__` names; an empty value means unset. A name of one signal ranks above that of all signals, unless a stronger layer sets the key of all: `APP__TELEMETRY__OTLP_ENDPOINT` applies to both signals. A value of a followed name that is not supported prevents the start. A name that has no effect is named by a warning at the start, and so is a name that the specification does not have. `server check` and `/config` show what is used.

| name | what happens | meaning here |
|---|---|---|
";

pub(super) fn variable(name: &str) -> Source {
    Source::Variable(name.to_owned())
}
