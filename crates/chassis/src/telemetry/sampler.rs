//! The sampling decision, made from the request head before any span is built.
//!
//! Next: [`super::span`].

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context as OtelContext, KeyValue, SpanId, TraceId as OtelTraceId,
    trace::{Link, SpanContext, SpanKind, SpanRef, TraceContextExt},
};
use opentelemetry_sdk::trace::{IdGenerator, SamplingDecision, SamplingResult, ShouldSample};

use super::{
    Settings,
    processor::Spans,
    propagation::Propagation,
    span::{self, ServerSpan, SpanRecord},
};
use crate::request::{self, RequestContext, TraceContext, TraceId};

/// Decides for each request; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tracing(Arc<State>);

#[derive(Debug)]
struct State {
    /// The queue for finished spans; none if nothing is recorded.
    spans: Option<Arc<Spans>>,
    /// Trace ids whose low 63 bits lie below are recorded, as in the SDK's `TraceIdRatioBased`.
    bound: AtomicU64,
    /// Whether the caller's decision goes before the ratio.
    parent_based: AtomicBool,
    propagation: Propagation,
}

impl Tracing {
    pub(super) fn new(spans: Option<Arc<Spans>>, settings: &Settings, propagation: Propagation) -> Self {
        let (bound, parent_based) = (bound(settings.sample_ratio).into(), settings.parent_based.into());
        Self(Arc::new(State { spans, bound, parent_based, propagation }))
    }

    /// Changes the share of traces that is recorded, and whether callers decide.
    pub(crate) fn reload(&self, settings: &Settings) {
        self.0.bound.store(bound(settings.sample_ratio), Ordering::Relaxed);
        self.0.parent_based.store(settings.parent_based, Ordering::Relaxed);
    }

    /// A request's trace context and the caller's baggage: a parent-based sampler keeps the caller's decision, otherwise
    /// the ratio decides. Without an endpoint nothing is recorded, but every request has a trace id.
    #[must_use]
    pub(crate) fn sample(&self, headers: &HeaderMap) -> (TraceContext, Option<HeaderValue>) {
        let propagation = &self.0.propagation;
        let baggage = propagation.baggage(headers);
        let Some(remote) = propagation.extract(headers) else {
            let mut trace = self.begin();
            trace.sampled &= !(propagation.denied(headers) && self.heeds_callers());
            return (trace, baggage);
        };
        let decided = remote.sampled.filter(|_| self.heeds_callers());
        let trace = TraceContext {
            trace_id: TraceId(remote.trace_id),
            parent_span_id: Some(remote.span_id),
            sampled: self.0.spans.is_some() && decided.unwrap_or_else(|| self.wants(remote.trace_id)),
            tracestate: propagation.tracestate(headers),
        };
        (trace, baggage)
    }

    /// A new trace, for a request without trace headers.
    #[must_use]
    pub(crate) fn begin(&self) -> TraceContext {
        let trace_id = fastrand::u128(1..);
        let sampled = self.0.spans.is_some() && self.wants(trace_id);
        TraceContext { trace_id: TraceId(trace_id), sampled, ..TraceContext::default() }
    }

    /// The server span of a recorded request, for [`RequestContext::span`].
    #[must_use]
    pub(crate) fn context(trace: &TraceContext) -> Option<OtelContext> {
        trace.sampled.then(|| span::context_of(trace))
    }

    /// Starts the span of a request that has [`RequestContext::span`].
    #[must_use]
    pub(crate) fn server_span(&self, request: &RequestContext, record: &SpanRecord<'_>) -> ServerSpan {
        self.0.spans.as_ref().map(|spans| ServerSpan::start(spans, request, record)).unwrap_or_default()
    }

    fn heeds_callers(&self) -> bool {
        self.0.parent_based.load(Ordering::Relaxed)
    }

    fn wants(&self, trace_id: u128) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is what counts")]
        let low = trace_id as u64;
        low >> 1 < self.0.bound.load(Ordering::Relaxed)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^63")]
fn bound(ratio: f64) -> u64 {
    const ALL: u64 = 1 << 63;
    if ratio >= 1.0 { ALL } else { (ratio.max(0.0) * 9_223_372_036_854_775_808.0) as u64 }
}

/// The SDK's sampler: follows the current request; outside a request it follows the parent span, otherwise the ratio.
impl ShouldSample for Tracing {
    fn should_sample(
        &self,
        parent: Option<&OtelContext>,
        trace_id: OtelTraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|context| context.has_active_span()).map(|context| context.span());
        let parent = parent.as_ref().map(SpanRef::span_context).filter(|span| span.is_valid());
        let sampled = request::with_current(|request| request.map(|request| request.trace.sampled))
            .or_else(|| parent.map(SpanContext::is_sampled))
            .unwrap_or_else(|| self.wants(u128::from_be_bytes(trace_id.to_bytes())));
        SamplingResult {
            decision: if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent.map(|span| span.trace_state().clone()).unwrap_or_default(),
        }
    }
}

/// The SDK's ids: a trace that begins within a request takes the request's trace id.
#[derive(Debug)]
pub(super) struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> OtelTraceId {
        request::with_current(|request| request.map(|request| request.trace.trace_id.0))
            .unwrap_or_else(|| fastrand::u128(1..))
            .into()
    }

    fn new_span_id(&self) -> SpanId {
        fastrand::u64(1..).into()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::Sampler;

    use super::*;
    use crate::telemetry::{queue::Queue, test::counter};

    fn sampler(enabled: bool, settings: &Settings) -> Tracing {
        let propagation = Propagation::new(Some("tracecontext,b3")).unwrap();
        Tracing::new(enabled.then(|| Queue::new(counter())), settings, propagation)
    }

    fn tracing(enabled: bool, ratio: f64) -> Tracing {
        sampler(enabled, &Settings { sample_ratio: ratio, ..Settings::default() })
    }

    fn from(flags: &str) -> HeaderMap {
        let value = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().unwrap());
        headers.insert("tracestate", "a=b".parse().unwrap());
        headers
    }

    #[test]
    fn the_callers_decision_is_followed() {
        let (yes, _) = tracing(true, 0.0).sample(&from("01"));
        let (no, _) = tracing(true, 1.0).sample(&from("00"));
        assert!(yes.sampled && !no.sampled);
        assert_eq!(yes.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(yes.parent_span_id, Some(0xb7ad_6b71_6920_3331));
        assert_eq!(yes.tracestate.unwrap(), "a=b");
    }

    #[test]
    fn a_sampler_that_is_not_parent_based_does_not_ask_the_caller() {
        let with = |ratio| sampler(true, &Settings { sample_ratio: ratio, parent_based: false, ..Settings::default() });
        assert!(with(1.0).sample(&from("00")).0.sampled);
        assert!(!with(0.0).sample(&from("01")).0.sampled);
        let denied = HeaderMap::from_iter([("b3".parse().unwrap(), HeaderValue::from_static("0"))]);
        assert!(with(1.0).sample(&denied).0.sampled && !tracing(true, 1.0).sample(&denied).0.sampled);
        // It goes on with the caller's trace all the same.
        assert_eq!(with(1.0).sample(&from("00")).0.parent_span_id, Some(0xb7ad_6b71_6920_3331));
    }

    #[test]
    fn without_an_endpoint_nothing_is_recorded_but_ids_exist() {
        let (followed, _) = tracing(false, 1.0).sample(&from("01"));
        let (own, _) = tracing(false, 1.0).sample(&HeaderMap::new());
        assert!(!followed.sampled && !own.sampled);
        assert_ne!(own.trace_id.0, 0);
    }

    #[test]
    fn the_ratio_agrees_with_the_sdk() {
        for ratio in [-1.0, 0.0, 0.1, 0.5, 0.999, 1.0, 2.0] {
            let ours = tracing(true, ratio);
            let theirs = Sampler::TraceIdRatioBased(ratio);
            for _ in 0..2_000 {
                let trace_id = fastrand::u128(1..);
                let result = theirs.should_sample(None, trace_id.into(), "", &SpanKind::Server, &[], &[]);
                assert_eq!(ours.wants(trace_id), result.decision == SamplingDecision::RecordAndSample);
            }
        }
    }

    #[test]
    fn the_ratio_can_change() {
        let tracing = tracing(true, 0.0);
        assert!(!tracing.sample(&HeaderMap::new()).0.sampled);
        tracing.reload(&Settings { sample_ratio: 1.0, ..Settings::default() });
        assert!(tracing.sample(&HeaderMap::new()).0.sampled);
    }
}
