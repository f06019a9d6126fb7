//! The caller's deadline: `grpc-timeout`, `x-envoy-expected-rq-timeout-ms`, `x-request-timeout`.
//!
//! Next: [`super::request_future`].

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::values;

// Header names, not strings: a string is parsed at each look-up, and each request looks up all three.
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const ENVOY: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const PLAIN: HeaderName = HeaderName::from_static("x-request-timeout");

/// The smallest of the caller's deadlines, from now; none if it sent no valid one.
pub(super) fn remaining(headers: &HeaderMap) -> Option<Duration> {
    let read = |name: &HeaderName, parse: fn(&str) -> Option<Duration>| {
        headers.get(name).map(HeaderValue::to_str).and_then(Result::ok).and_then(parse)
    };
    [read(&GRPC, grpc), read(&ENVOY, milliseconds), read(&PLAIN, milliseconds_or_duration)].into_iter().flatten().min()
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn grpc(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8 && is_digits(digits))?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|_| is_digits(text)).map(Duration::from_millis)
}

fn milliseconds_or_duration(text: &str) -> Option<Duration> {
    milliseconds(text).or_else(|| text.parse().ok().map(values::Duration::get))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        remaining(&pairs.iter().map(pair).collect())
    }

    #[test]
    fn the_smallest_deadline_counts() {
        let all = [("grpc-timeout", "2S"), ("x-envoy-expected-rq-timeout-ms", "1500"), ("x-request-timeout", "3s")];
        assert_eq!(of(&all), Some(Duration::from_millis(1500)));
        assert_eq!(of(&[("x-request-timeout", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(of(&[("x-request-timeout", "0")]), Some(Duration::ZERO));
    }

    #[test]
    fn what_cannot_be_read_counts_for_nothing() {
        for bad in ["", "S", "+1S", "123456789S", "5x", "-5m", "ä"] {
            assert_eq!(grpc(bad), None, "{bad}");
        }
        for bad in ["", "+5", "-1", "5 s", "1e3", "99999999999999999999"] {
            assert_eq!(milliseconds_or_duration(bad), None, "{bad}");
        }
    }
}
