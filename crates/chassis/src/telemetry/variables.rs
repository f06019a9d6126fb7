//! Standard variables of the exporters without a setting: headers, timeout, compression.
//!
//! The exporters' crate ignores unsupported values and silently loses traces or time; here they are
//! refused. A signal's own variable wins over the one for all. Empty means unset.
//!
//! Next: [`super::queue`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Lookup, StartError, resource};

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
const LOGS_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT";
const COMPRESSION: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION"];

/// 5 s: a healthy collector answers in milliseconds.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// An hour, in the variables' unit: longer than any sensible timeout.
const MAX_TIMEOUT_MS: u64 = 3_600_000;

/// What is wrong with them, each by its name.
pub(super) fn refused(environment: Lookup<'_>) -> Vec<StartError> {
    let timeouts = [TIMEOUT, TRACES_TIMEOUT, LOGS_TIMEOUT].map(|name| parse_timeout(name, environment).map(drop));
    let compressions = COMPRESSION.map(|name| uncompressed(name, environment));
    let checks = timeouts
        .into_iter()
        .chain(compressions)
        .chain([headers(environment).map(drop), parse_headers(TRACES_HEADERS, environment).map(drop)]);
    checks.filter_map(Result::err).collect()
}

/// Headers of every export.
pub(super) fn headers(environment: Lookup<'_>) -> Result<HeaderMap, StartError> {
    parse_headers(HEADERS, environment)
}

/// Headers of exports of spans: those of every export, and the signal's own, which win.
pub(super) fn trace_headers(environment: Lookup<'_>) -> Result<HeaderMap, StartError> {
    let (mut all, own) = (headers(environment)?, parse_headers(TRACES_HEADERS, environment)?);
    all.extend(own);
    Ok(all)
}

fn parse_headers(variable: &'static str, environment: Lookup<'_>) -> Result<HeaderMap, StartError> {
    resource::pairs(variable, environment)?
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        })
        .collect::<Option<HeaderMap>>()
        .ok_or_else(|| StartError::new(variable, "invalid header name or value"))
}

/// How long one export of spans may take.
pub(super) fn traces_timeout(environment: Lookup<'_>) -> Result<Duration, StartError> {
    timeout(TRACES_TIMEOUT, environment)
}

/// How long one export of log records may take.
pub(super) fn logs_timeout(environment: Lookup<'_>) -> Result<Duration, StartError> {
    timeout(LOGS_TIMEOUT, environment)
}

fn timeout(own: &'static str, environment: Lookup<'_>) -> Result<Duration, StartError> {
    let (own, general) = (parse_timeout(own, environment)?, parse_timeout(TIMEOUT, environment)?);
    Ok(own.or(general).unwrap_or(DEFAULT_TIMEOUT))
}

fn parse_timeout(name: &'static str, environment: Lookup<'_>) -> Result<Option<Duration>, StartError> {
    let Some(text) = environment(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(milliseconds @ 1..=MAX_TIMEOUT_MS) => Ok(Some(Duration::from_millis(milliseconds))),
        _ => Err(StartError::new(name, format!("expected milliseconds, from 1 to {MAX_TIMEOUT_MS}"))),
    }
}

/// Compression would need another crate, for traffic inside the cluster.
fn uncompressed(name: &'static str, environment: Lookup<'_>) -> Result<(), StartError> {
    match environment(name).as_deref() {
        None | Some("" | "none") => Ok(()),
        Some(_) => Err(StartError::new(name, "expected `none`; compression is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn a_signals_own_timeout_wins() {
        let both = with(&[(TIMEOUT, "2000"), (TRACES_TIMEOUT, "300"), (LOGS_TIMEOUT, "")]);
        assert_eq!(traces_timeout(&both).unwrap(), Duration::from_millis(300));
        assert_eq!(logs_timeout(&both).unwrap(), Duration::from_secs(2));
        assert_eq!(logs_timeout(&with(&[])).unwrap(), DEFAULT_TIMEOUT);
    }

    #[test]
    fn the_headers_of_spans_are_those_of_all_and_their_own() {
        let both = with(&[(HEADERS, "a=1,b=2"), (TRACES_HEADERS, "b=3")]);
        let headers = trace_headers(&both).unwrap();
        assert_eq!((&headers["a"], &headers["b"], headers.len()), (&"1".parse().unwrap(), &"3".parse().unwrap(), 2));
        assert_eq!(refused(&with(&[(TRACES_HEADERS, "a b=c")]))[0].key, TRACES_HEADERS);
    }

    #[test]
    fn all_that_cannot_be_followed_is_named_at_once() {
        let bad = with(&[
            (TIMEOUT, "10s"),
            (TRACES_TIMEOUT, "0"),
            (LOGS_TIMEOUT, "3600001"),
            (COMPRESSION[0], "gzip"),
            (COMPRESSION[1], "none"),
            (COMPRESSION[2], "zstd"),
            (HEADERS, "a b=c"),
        ]);
        let names: Vec<&str> = refused(&bad).iter().map(|error| error.key).collect();
        assert_eq!(names, [TIMEOUT, TRACES_TIMEOUT, LOGS_TIMEOUT, COMPRESSION[0], COMPRESSION[2], HEADERS]);
        assert!(refused(&with(&[(TIMEOUT, ""), (COMPRESSION[0], ""), (TRACES_TIMEOUT, "1")])).is_empty());
    }
}
