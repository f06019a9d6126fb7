//! What the tests of this module share.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use http::HeaderValue;
use prometheus::IntCounter;
use tracing::Dispatch;

use super::{Identity, span};
use crate::request::{RequestContext, TraceContext, TraceId};

/// A writer whose text can be read.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn wait_for(&self, part: &str) {
        wait_until(part, || self.text().contains(part));
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets tests with subscribers of their own run beside each other. Where tracing knows of one subscriber only, a callsite
/// that another thread reaches first is asked of that thread's, which is none, and stays off for the one that wants it.
pub(super) fn share_callsites() {
    static OTHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    OTHERS.get_or_init(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));
}

/// Polls `done` for 10 s at most.
pub(super) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "waited 10 s for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn counter() -> IntCounter {
    IntCounter::new("dropped_total", "For a test.").unwrap()
}

pub(super) fn identity() -> Identity {
    Identity { service: "parcels".into(), version: "1.2.3".into(), replica: "replica-1".into(), ..Identity::default() }
}

/// A request with a caller's span 7, a tracestate and baggage.
pub(super) fn context(trace_id: u128, sampled: bool) -> Arc<RequestContext> {
    let trace = TraceContext {
        trace_id: TraceId(trace_id),
        parent_span_id: Some(7),
        sampled,
        tracestate: Some(HeaderValue::from_static("vendor=1")),
    };
    Arc::new(RequestContext {
        id: HeaderValue::from_static("r-1"),
        span: sampled.then(|| span::context_of(&trace)),
        trace,
        baggage: Some(HeaderValue::from_static("user=7")),
        deadline: None,
    })
}
