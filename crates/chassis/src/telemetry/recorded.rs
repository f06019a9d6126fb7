//! The filter for spans and events that reach the tracer.
//!
//! Next: `processor`.

use tracing::{Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    filter::Targets,
    layer::{Context, Filter},
};

use super::exporter::OWN_TARGETS;
use crate::request;

/// Passes spans and events to the tracer, except for those of unrecorded requests (so that they leave no
/// orphans), those below INFO, and the exporter's own.
pub(super) struct Recorded(Targets);

impl Recorded {
    pub(super) fn new() -> Self {
        Self(exported())
    }
}

/// What is exported: INFO and above, without what the exporter itself emits.
pub(super) fn exported() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_targets(OWN_TARGETS.map(|target| (target, LevelFilter::OFF)))
}

impl<S> Filter<S> for Recorded {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::<S>::enabled(&self.0, metadata, context)
            && request::with_current(|request| request.is_none_or(|request| request.trace.sampled))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never what it is for one request: the next one may be recorded.
        let interest = Filter::<S>::callsite_enabled(&self.0, metadata);
        if interest.is_never() { interest } else { Interest::sometimes() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}
