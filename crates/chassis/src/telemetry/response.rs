//! What a collector's response to an export means: taken, partly taken, to be sent again, or lost.
//!
//! The rules are those of the OTLP specification, 1.x: "Failures" and "Partial Success" of OTLP/gRPC and OTLP/HTTP.
//!
//! Next: [`super::worker`].

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::cut::{AGENT, cut};

/// The collector took the request, apart from so many items.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) rejected: u64,
    /// Why, or a remark of the collector's.
    pub(super) remark: String,
}

/// The collector did not take the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) again: Again,
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    Soon,
    /// Not sooner, as the collector asks for it.
    After(Duration),
}

/// What a response over HTTP means.
pub(super) fn of_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Taken, Refusal> {
    if status.is_success() {
        return Ok(taken(body));
    }
    Err(Refusal { reason: format!("the collector responded with status {status}"), again: of_status(status, headers) })
}

fn of_status(status: StatusCode, headers: &HeaderMap) -> Again {
    match status.as_u16() {
        429 | 502 | 503 | 504 => headers.get(RETRY_AFTER).and_then(retry_after).map_or(Again::Soon, Again::After),
        _ => Again::Never,
    }
}

/// Seconds or a date, RFC 9110 section 10.2.3; a date that is over means no wait.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// What a response over gRPC means; `status` are the trailers, or the headers of a response without a body.
pub(super) fn of_grpc(status: &HeaderMap, body: &[u8]) -> Result<Taken, Refusal> {
    let code = status.get("grpc-status").map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    if code.as_deref() == Some("0") {
        // Five bytes before the message: not compressed, and its length.
        return Ok(body.split_at_checked(5).map(|(_, message)| taken(message)).unwrap_or_default());
    }
    let message = status.get("grpc-message").map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    let reason = format!(
        "the collector responded with grpc-status {} {}",
        code.as_deref().unwrap_or("none"),
        cut(&message.unwrap_or_default(), AGENT)
    );
    Err(Refusal { reason, again: of_code(code.as_deref(), status) })
}

/// By the table of the specification's "OTLP/gRPC Response".
fn of_code(code: Option<&str>, status: &HeaderMap) -> Again {
    let asked = || status.get("grpc-status-details-bin").and_then(retry_info).map(Again::After);
    match code {
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
        Some("1" | "4" | "10" | "11" | "14" | "15") => asked().unwrap_or(Again::Soon),
        // RESOURCE_EXHAUSTED: only a collector that names a wait expects to have room again.
        Some("8") => asked().unwrap_or(Again::Never),
        _ => Again::Never,
    }
}

/// `google.rpc.Status`: its details alone.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The wait among the details of a status.
fn retry_info(details: &HeaderValue) -> Option<Duration> {
    // gRPC sends binary fields without padding, and who reads them has to accept both.
    let bytes = STANDARD_NO_PAD.decode(details.to_str().ok()?.trim_end_matches('=')).ok()?;
    let details = Status::decode(&*bytes).ok()?.details;
    let info = details.iter().find(|detail| detail.kind.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*info.value).ok()?.delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

/// A response to an export; those of spans and of log records have the same fields. One that is no message is one
/// of a collector that says no more than its status.
fn taken(body: &[u8]) -> Taken {
    let partly = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    partly.map_or_else(Taken::default, |partly| Taken {
        rejected: u64::try_from(partly.rejected_spans).unwrap_or(0),
        remark: cut(&partly.error_message, AGENT).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let again = |value: &str| of_status(StatusCode::SERVICE_UNAVAILABLE, &headers("retry-after", value));
        assert_eq!(again("7"), Again::After(Duration::from_secs(7)));
        assert_eq!(again("Fri, 31 Dec 1999 23:59:59 GMT"), Again::After(Duration::ZERO));
        let Again::After(wait) = again("Fri, 31 Dec 2100 23:59:59 GMT") else { panic!("no wait") };
        assert!(wait > Duration::from_hours(1));
        for nonsense in ["-1", "soon", "1.5", ""] {
            assert_eq!(again(nonsense), Again::Soon, "{nonsense}");
        }
    }

    #[test]
    fn details_are_read_with_padding_and_without() {
        let text = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ";
        for details in [text.to_owned(), format!("{text}==")] {
            let wait = of_code(Some("8"), &headers("grpc-status-details-bin", &details));
            assert_eq!(wait, Again::After(Duration::from_secs(1)), "{details}");
        }
        for nonsense in ["", "!", "CAga", "AAAA"] {
            assert_eq!(of_code(Some("8"), &headers("grpc-status-details-bin", nonsense)), Again::Never, "{nonsense}");
        }
    }

    #[test]
    fn a_response_that_is_no_message_is_one_that_took_all() {
        for body in [&b""[..], b"{\"partialSuccess\":{}}", b"\xff\xff"] {
            assert_eq!(of_http(StatusCode::OK, &HeaderMap::new(), body), Ok(Taken::default()));
        }
        assert_eq!(of_grpc(&headers("grpc-status", "0"), b""), Ok(Taken::default()));
    }
}
