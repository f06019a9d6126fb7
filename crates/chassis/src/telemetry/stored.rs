//! The trace of work that is stored, and done later by whoever comes.
//!
//! Next: [`super::sampler`].

use std::time::Instant;

use opentelemetry::{
    Context as OtelContext, SpanId, TraceFlags,
    trace::{SpanContext, TraceContextExt, TraceState},
};

use super::propagation;
use crate::request::{RequestContext, TraceContext, TraceId};

/// The present trace as W3C's `traceparent`: the recorded span that this thread is in, else the current request; none
/// outside both.
pub(crate) fn traceparent() -> Option<String> {
    propagation::parent().map(|(trace_id, span_id, sampled)| {
        let flag = u8::from(sampled);
        format!("00-{trace_id:032x}-{span_id:016x}-0{flag}")
    })
}

/// A context without a request, in the stored trace: its spans are children of the one that stored it, and recorded if that
/// was. Without one it is a trace of its own, which is not recorded.
pub(crate) fn context(traceparent: Option<&str>, deadline: Option<Instant>) -> RequestContext {
    let mut context = RequestContext { deadline, ..RequestContext::anonymous() };
    let Some(remote) = traceparent.and_then(|value| propagation::traceparent(value.as_bytes())) else {
        context.trace.trace_id = TraceId(fastrand::u128(1..));
        return context;
    };
    context.trace = TraceContext {
        trace_id: TraceId(remote.trace_id),
        parent_span_id: Some(remote.span_id),
        sampled: remote.sampled == Some(true),
        tracestate: None,
    };
    context.span = context.trace.sampled.then(|| {
        let (trace_id, span_id) = (remote.trace_id.into(), SpanId::from(remote.span_id));
        let parent = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, TraceState::default());
        OtelContext::new().with_remote_span_context(parent)
    });
    context
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::request;

    #[test]
    fn a_stored_trace_goes_on_where_it_was_left() {
        let stored = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = context(Some(stored), None);
        assert_eq!(context.trace.trace_id.to_string(), stored[3..35]);
        assert!(context.trace.sampled && context.span.is_some());
        let again = request::enter(&Arc::new(context), traceparent).expect("a trace");
        assert_eq!(again, stored);
    }

    #[test]
    fn without_a_trace_there_is_a_new_one_and_nothing_is_stored_outside_a_request() {
        for stored in [None, Some(""), Some("00-0-0-01")] {
            let context = context(stored, None);
            assert!(context.trace.trace_id.0 != 0 && !context.trace.sampled && context.span.is_none());
        }
        assert_eq!(traceparent(), None);
    }
}
