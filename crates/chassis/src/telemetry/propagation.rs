//! Trace context and baggage in headers: W3C Trace Context level 1, W3C Baggage, and B3.
//!
//! Next: [`super::sampler`].

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Context as OtelContext, trace::TraceContextExt};

use super::{StartError, hex, standard::PROPAGATORS};
use crate::request;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// W3C Baggage requires 8,192 bytes; more is not propagated.
const MAX_BAGGAGE: usize = 8 << 10;
/// W3C Trace Context requires at least 512 characters.
const MAX_TRACESTATE: usize = 4 << 10;

/// Reads and writes the headers of the configured formats; cheap to clone.
#[derive(Clone, Debug)]
pub struct Propagation(Arc<Formats>);

#[derive(Debug, Default)]
struct Formats {
    /// In the order of `OTEL_PROPAGATORS`; the first that finds a parent wins.
    trace: Vec<TraceFormat>,
    baggage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TraceFormat {
    W3c,
    B3Single,
    B3Multi,
}

/// Trace data from the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
    /// None if B3 defers the decision.
    pub(super) sampled: Option<bool>,
}

impl Propagation {
    /// Parses a value of `OTEL_PROPAGATORS`; none means `tracecontext,baggage`.
    ///
    /// # Errors
    /// When it names a propagator that is not built in.
    pub fn new(propagators: Option<&str>) -> Result<Self, StartError> {
        let mut formats = Formats::default();
        let list = propagators.filter(|list| !list.trim().is_empty()).unwrap_or("tracecontext,baggage");
        for (index, name) in list.split(',').map(str::trim).enumerate() {
            match name {
                "tracecontext" => formats.trace.push(TraceFormat::W3c),
                "b3" => formats.trace.push(TraceFormat::B3Single),
                "b3multi" => formats.trace.push(TraceFormat::B3Multi),
                "baggage" => formats.baggage = true,
                "none" => {}
                _ => {
                    let reason = format!("entry {}: expected tracecontext, baggage, b3, b3multi or none", index + 1);
                    return Err(StartError::new(PROPAGATORS, reason));
                }
            }
        }
        Ok(Self(Arc::new(formats)))
    }

    pub(super) fn extract(&self, headers: &HeaderMap) -> Option<Remote> {
        self.0.trace.iter().find_map(|format| match format {
            TraceFormat::W3c => w3c(headers),
            TraceFormat::B3Single => b3_single(headers.get(B3)?),
            TraceFormat::B3Multi => b3_multi(headers),
        })
    }

    /// Whether the caller forbids recording without naming a trace (`b3: 0`).
    pub(super) fn denied(&self, headers: &HeaderMap) -> bool {
        self.0.trace.iter().any(|format| match format {
            TraceFormat::W3c => false,
            TraceFormat::B3Single => headers.get(B3).is_some_and(|value| value == "0"),
            TraceFormat::B3Multi => headers.get(B3_SAMPLED).is_some_and(|value| value == "0"),
        })
    }

    pub(super) fn tracestate(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.0.trace.contains(&TraceFormat::W3c).then(|| list(headers, &TRACESTATE, MAX_TRACESTATE)).flatten()
    }

    pub(super) fn baggage(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.0.baggage.then(|| list(headers, &BAGGAGE, MAX_BAGGAGE)).flatten()
    }

    /// Sets the headers of an outbound request: the recorded span that this thread is in as parent, else the current
    /// request's trace, not recorded, under a new span id. Outside both it does nothing.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Some((trace_id, span_id, sampled)) = parent() {
            for format in &self.0.trace {
                write(*format, headers, trace_id, span_id, sampled);
            }
        }
        request::with_current(|request| {
            let Some(request) = request else { return };
            if let Some(tracestate) = &request.trace.tracestate
                && self.0.trace.contains(&TraceFormat::W3c)
            {
                headers.insert(TRACESTATE, tracestate.clone());
            }
            if let Some(baggage) = &request.baggage
                && self.0.baggage
            {
                headers.insert(BAGGAGE, baggage.clone());
            }
        });
    }
}

/// Trace, span and whether it is recorded: of the recorded span that this thread is in, else of the current request.
pub(super) fn parent() -> Option<(u128, u64, bool)> {
    let active = OtelContext::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_sampled()
            .then(|| (u128::from_be_bytes(span.trace_id().to_bytes()), u64::from_be_bytes(span.span_id().to_bytes())))
    });
    match active {
        Some((trace_id, span_id)) => Some((trace_id, span_id, true)),
        None => request::with_current(|request| Some((request?.trace.trace_id.0, fastrand::u64(1..), false))),
    }
}

fn write(format: TraceFormat, headers: &mut HeaderMap, trace_id: u128, span_id: u64, sampled: bool) {
    let flag = u8::from(sampled);
    match format {
        TraceFormat::W3c => set(headers, TRACEPARENT, &format!("00-{trace_id:032x}-{span_id:016x}-0{flag}")),
        TraceFormat::B3Single => set(headers, B3, &format!("{trace_id:032x}-{span_id:016x}-{flag}")),
        TraceFormat::B3Multi => {
            set(headers, B3_TRACE_ID, &format!("{trace_id:032x}"));
            set(headers, B3_SPAN_ID, &format!("{span_id:016x}"));
            set(headers, B3_SAMPLED, if sampled { "1" } else { "0" });
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).expect("hexadecimal digits and dashes"));
}

/// A header that may come in several lines, as one; none where it is longer than `max` bytes.
fn list(headers: &HeaderMap, name: &HeaderName, max: usize) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return (first.len() <= max).then(|| first.clone());
    };
    let mut joined = first.as_bytes().to_vec();
    for value in [second].into_iter().chain(values) {
        joined.push(b',');
        joined.extend_from_slice(value.as_bytes());
    }
    (joined.len() <= max).then(|| HeaderValue::from_bytes(&joined).ok()).flatten()
}

fn w3c(headers: &HeaderMap) -> Option<Remote> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?;
    // Section 3.2: two headers are treated as none.
    if values.next().is_some() {
        return None;
    }
    traceparent(value.as_bytes())
}

/// `version-traceid-spanid-flags`, as of W3C Trace Context level 1, section 3.2.
pub(super) fn traceparent(value: &[u8]) -> Option<Remote> {
    let (head, rest) = value.split_at_checked(55)?;
    let version = hex::parse(&head[..2])?;
    let shape = match version {
        0xff => false,
        0 => rest.is_empty(),
        // A future version may continue after another dash.
        _ => rest.is_empty() || rest[0] == b'-',
    };
    if !shape || head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
        return None;
    }
    let trace_id = hex::parse(&head[3..35]).filter(|&id| id != 0)?;
    let span_id = hex::parse(&head[36..52]).filter(|&id| id != 0)?;
    let flags = hex::parse(&head[53..55])?;
    Some(Remote { trace_id, span_id: u64::try_from(span_id).ok()?, sampled: Some(flags & 1 == 1) })
}

/// `traceid-spanid[-state[-parent]]`.
fn b3_single(value: &HeaderValue) -> Option<Remote> {
    let mut parts = value.as_bytes().split(|&byte| byte == b'-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    b3(trace_id, span_id, parts.next())
}

fn b3_multi(headers: &HeaderMap) -> Option<Remote> {
    let bytes = |name| headers.get(name).map(HeaderValue::as_bytes);
    // A debug flag implies sampling.
    let state = if bytes(B3_FLAGS) == Some(b"1") { Some(&b"d"[..]) } else { bytes(B3_SAMPLED) };
    b3(bytes(B3_TRACE_ID)?, bytes(B3_SPAN_ID)?, state)
}

fn b3(trace_id: &[u8], span_id: &[u8], state: Option<&[u8]>) -> Option<Remote> {
    let sampled = match state {
        None => None,
        Some(b"1" | b"d" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        Some(_) => return None,
    };
    if !matches!(trace_id.len(), 16 | 32) || span_id.len() != 16 {
        return None;
    }
    let trace_id = hex::parse(trace_id).filter(|&id| id != 0)?;
    let span_id = hex::parse(span_id).filter(|&id| id != 0)?;
    Some(Remote { trace_id, span_id: u64::try_from(span_id).ok()?, sampled })
}

#[cfg(test)]
mod tests;
