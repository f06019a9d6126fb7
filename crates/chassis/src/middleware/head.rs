//! The headers that the middleware needs, found in one pass over the request head.
//!
//! A look-up in a header map hashes the name. Each request would need a dozen, nearly all without a result.
//!
//! Next: [`super::host`].

use http::{HeaderMap, HeaderValue};

use super::{coding::Coded, host::Host};

/// A summary of a head. If a flag is set, the header exists.
#[derive(Default)]
pub(super) struct Head<'a> {
    /// As HTTP/1 writes the fields: each line has a colon, a space, CR and LF.
    pub(super) bytes: usize,
    pub(super) host: Host<'a>,
    pub(super) request_id: Option<&'a HeaderValue>,
    pub(super) user_agent: Option<&'a HeaderValue>,
    /// Trace context in any of the formats, or baggage.
    pub(super) has_trace: bool,
    /// Forwarding headers.
    pub(super) is_forwarded: bool,
    pub(super) has_deadline: bool,
    /// A `Transfer-Encoding`.
    pub(super) coding: Option<&'a HeaderValue>,
    pub(super) length: Option<&'a HeaderValue>,
    pub(super) coded: Coded,
}

impl<'a> Head<'a> {
    pub(super) fn scan(headers: &'a HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            head.bytes += name.len() + value.len() + 4;
            match name {
                "host" => head.host.add(value),
                "x-request-id" => head.request_id = head.request_id.or(Some(value)),
                "user-agent" => head.user_agent = head.user_agent.or(Some(value)),
                "content-length" => head.length = Some(value),
                "transfer-encoding" => head.coding = Some(value),
                "cookie" => head.coded.cookies += 1,
                "accept-encoding" => head.coded.has_weights |= value.as_bytes().contains(&b';'),
                "content-encoding" => head.coded.is_encoded = true,
                "x-forwarded-for" | "forwarded" => head.is_forwarded = true,
                "grpc-timeout" | "x-envoy-expected-rq-timeout-ms" | "x-request-timeout" => head.has_deadline = true,
                "traceparent" | "tracestate" | "baggage" | "b3" => head.has_trace = true,
                name if name.starts_with("x-b3-") => head.has_trace = true,
                _ => {}
            }
        }
        head
    }
}
