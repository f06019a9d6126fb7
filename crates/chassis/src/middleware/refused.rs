//! Requests of HTTP/2 that were answered on their way to h2, or by h2: malformed ones with 400, and heads beyond twice
//! `server.max_head` with 431. They are counted and logged as those that match no route.
//!
//! Of HTTP/1 the connection ends with such a request, and is counted for it. What h2 resets with `REFUSED_STREAM` it has
//! not begun, and may be sent again (RFC 9113, section 8.7): that is no answer, and counts as none.
//!
//! Next: [`super::observation`].

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use http::{StatusCode, Version};

use super::{Stack, route::Route};
use crate::{peer::ConnectionInfo, request::RequestContext, telemetry::AccessRecord};

/// What is known of it is its connection.
pub(super) fn count(stack: &Stack, unmatched: &Route, connection: &ConnectionInfo, status: StatusCode) {
    const METHOD: &str = "_OTHER";
    let mut trace = stack.tracing.begin();
    trace.sampled = false;
    let context = RequestContext { trace, ..RequestContext::anonymous() };
    let series = unmatched.series(METHOD, status);
    series.durations.observe(0.0);
    stack.served.completed.fetch_add(1, Relaxed);
    stack.access.write(&AccessRecord {
        request_id: context.id(),
        trace: &context.trace,
        constants: &series.constants,
        method: METHOD,
        route: &unmatched.template,
        path: "",
        version: Version::HTTP_2,
        status,
        duration: Duration::ZERO,
        request_bytes: None,
        response_bytes: 0,
        client: Some(connection.peer().ip()),
        user_agent: None,
    });
}
