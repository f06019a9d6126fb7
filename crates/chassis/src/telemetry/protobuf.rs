//! Server spans as OTLP protocol buffers, encoded in one pass.
//!
//! The exporter's crate copies each name and value of a span into messages of its own, twice measures them, and frees
//! them again: 21,900 instructions a span with opentelemetry-proto 0.33.1, as many as all else that a request costs. This
//! knows one kind of span, and needs 4,400: at the default ratio it saves 1,750 a request. It handles no other kind: spans
//! of handlers use the crate's encoder.
//!
//! The numbers of the fields are those of `opentelemetry/proto/trace/v1/trace.proto`, 1.0 and later.
//!
//! Next: `sender`, which sends them to the collector.

use std::{
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::Value;
use opentelemetry_sdk::Resource;

use super::{SCOPE, access::protocol, digits, span::Server};

/// `Span.kind`.
const SERVER: u64 = 2;
/// `Status.code`.
const ERROR: u64 = 2;
/// `Span.flags`: sampled; and whether the parent is remote is known, and it is.
const SAMPLED: u32 = 1;
const KNOWS_PARENT: u32 = 0x100;
const REMOTE_PARENT: u32 = 0x200;

/// What encodes the spans of one process.
pub(super) struct Encoder {
    /// `ResourceSpans.resource`, and the head of its one `ScopeSpans`.
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(resource: &Resource) -> Self {
        let mut attributes = Vec::new();
        for (key, value) in resource {
            attribute(&mut attributes, 1, key.as_str(), &value.into());
        }
        let (mut name, mut scope, mut resource) = (Vec::new(), Vec::new(), Vec::new());
        bytes(&mut name, 1, SCOPE.as_bytes());
        bytes(&mut scope, 1, &name);
        bytes(&mut resource, 1, &attributes);
        Self { resource, scope }
    }

    /// An `ExportTraceServiceRequest` with `spans`.
    pub(super) fn request(&self, spans: &[Box<Server>]) -> Vec<u8> {
        // 400 bytes: what a span with a usual `user-agent` takes.
        let mut scope_spans = Vec::with_capacity(self.scope.len() + 400 * spans.len());
        scope_spans.extend_from_slice(&self.scope);
        let mut span = Vec::new();
        for one in spans {
            span.clear();
            one.encode(&mut span);
            bytes(&mut scope_spans, 2, &span);
        }
        let inner = self.resource.len() + length_of(scope_spans.len());
        let mut request = Vec::with_capacity(inner + 16);
        head(&mut request, 1, inner);
        request.extend_from_slice(&self.resource);
        bytes(&mut request, 2, &scope_spans);
        request
    }
}

/// An attribute's value.
enum Attribute<'a> {
    Text(&'a str),
    Number(u64),
}

impl Server {
    /// The fields of a `Span`, with the attributes of the semantic conventions for HTTP servers.
    fn encode(&self, out: &mut Vec<u8>) {
        bytes(out, 1, &self.context.trace_id().to_bytes());
        bytes(out, 2, &self.context.span_id().to_bytes());
        let tracestate = self.context.trace_state().header();
        if !tracestate.is_empty() {
            bytes(out, 3, tracestate.as_bytes());
        }
        if let Some(parent) = self.parent {
            bytes(out, 4, &parent.to_be_bytes());
        }
        let [path, route, address, agent] = self.texts.each();
        let space = if route.is_empty() { "" } else { " " };
        head(out, 5, self.method.len() + space.len() + route.len());
        for part in [self.method, space, route] {
            out.extend_from_slice(part.as_bytes());
        }
        number(out, 6, SERVER);
        fixed64(out, 7, nanoseconds(self.started));
        fixed64(out, 8, nanoseconds(self.started + self.lasted));
        let mut put = |key: &str, value: Attribute<'_>| attribute(out, 9, key, &value);
        put("http.request.method", Attribute::Text(self.method));
        put("url.path", Attribute::Text(path));
        put("url.scheme", Attribute::Text(self.scheme));
        put("network.protocol.version", Attribute::Text(protocol(self.version)));
        for (key, text) in [("http.route", route), ("server.address", address), ("user_agent.original", agent)] {
            if !text.is_empty() {
                put(key, Attribute::Text(text));
            }
        }
        if let Some(port) = self.port {
            put("server.port", Attribute::Number(port.into()));
        }
        if let Some(client) = self.client {
            put("client.address", Attribute::Text(&text_of(client.to_canonical())));
        }
        put("http.response.status_code", Attribute::Number(self.status.as_u16().into()));
        // Only 5xx are errors of a server.
        if self.status.is_server_error() {
            put("error.type", Attribute::Text(self.status.as_str()));
            head(out, 15, 2);
            number(out, 3, ERROR);
        } else {
            head(out, 15, 0);
        }
        let parent = if self.parent.is_some() { REMOTE_PARENT } else { 0 };
        fixed32(out, 16, SAMPLED | KNOWS_PARENT | parent);
    }
}

/// A `KeyValue` as field `field`.
fn attribute(out: &mut Vec<u8>, field: u64, key: &str, value: &Attribute<'_>) {
    let value_length = match value {
        Attribute::Text(text) => length_of(text.len()),
        Attribute::Number(number) => 1 + varint_length(*number),
    };
    head(out, field, length_of(key.len()) + length_of(value_length));
    bytes(out, 1, key.as_bytes());
    head(out, 2, value_length);
    match value {
        Attribute::Text(text) => bytes(out, 1, text.as_bytes()),
        Attribute::Number(of) => number(out, 3, *of),
    }
}

/// Bytes that a text or message of `length` takes with its head, in a field below 16.
const fn length_of(length: usize) -> usize {
    1 + varint_length(length as u64) + length
}

/// The wire's types: a varint, 8 bytes, a length with as many bytes, 4 bytes.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn head(out: &mut Vec<u8>, field: u64, length: usize) {
    varint(out, field << 3 | BYTES);
    varint(out, length as u64);
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3 | VARINT);
    varint(out, number);
}

fn fixed64(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3 | FIXED64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A double as field `field`, also where it is 0.
pub(crate) fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    fixed64(out, field, value.to_bits());
}

fn fixed32(out: &mut Vec<u8>, field: u64, number: u32) {
    varint(out, field << 3 | FIXED32);
    out.extend_from_slice(&number.to_le_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

const fn varint_length(number: u64) -> usize {
    ((64 - (number | 1).leading_zeros()) as usize).div_ceil(7)
}

fn text_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let mut text = Vec::new();
            digits::dotted(&mut text, address);
            String::from_utf8(text).expect("digits and dots")
        }
        IpAddr::V6(address) => address.to_string(),
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl<'a> From<&'a Value> for Attribute<'a> {
    /// Of a resource, which is built of texts.
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.as_str()),
            _ => Self::Text(""),
        }
    }
}

#[cfg(test)]
mod tests;
