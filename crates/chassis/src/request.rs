//! The current request: its id, trace and deadline, for all code that runs inside it.
//!
//! It is set for each poll of a handler, so logs, problems and upstream calls find it without a parameter; a
//! task that a handler spawns inherits it through [`scope`]. It has no body, no headers and no app data.
//!
//! Next: [`crate::middleware`], which fills it.

use std::{cell::RefCell, fmt, future::Future, pin::Pin, sync::Arc, task, time::Instant};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::HeaderValue;
use opentelemetry::Context as OtelContext;
use pin_project_lite::pin_project;

/// Data from a request's head.
#[derive(Debug)]
pub struct RequestContext {
    /// The request id: the caller's if it was valid, otherwise a new one.
    pub id: HeaderValue,
    /// Its trace context.
    pub trace: TraceContext,
    /// The server span of a recorded request: spans inside the request are its children.
    pub span: Option<OtelContext>,
    /// The caller's W3C `baggage`, unchanged.
    pub baggage: Option<HeaderValue>,
    /// The deadline of the response; none without a timeout.
    pub deadline: Option<Instant>,
}

impl RequestContext {
    /// A context without a request, which has only an id.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { id: new_id(), trace: TraceContext::default(), span: None, baggage: None, deadline: None }
    }

    /// The request id as text: 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn id(&self) -> &str {
        // Not by `to_str`, which looks at each byte by itself.
        std::str::from_utf8(self.id.as_bytes()).unwrap_or_default()
    }
}

/// A new request id: 128 random bits as 32 hexadecimal digits, from the thread's generator: it must be unique, not unpredictable.
///
/// # Panics
/// Never: hexadecimal digits are a header value.
#[must_use]
pub fn new_id() -> HeaderValue {
    let id = IDS.with_borrow_mut(|ids| {
        if ids.is_empty() {
            *ids = batch();
        }
        ids.split_to(LENGTH)
    });
    HeaderValue::from_maybe_shared(id).expect("hexadecimal digits")
}

/// Of an id.
const LENGTH: usize = 32;

thread_local! {
    /// Ids that are not given away yet. One allocation for many: an id of its own is two, as it is cloned into the response.
    static IDS: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// 32 ids: 1 KiB, which the last of them frees.
fn batch() -> Bytes {
    let ids: Vec<_> = std::iter::repeat_with(|| hexadecimal(fastrand::u128(..))).take(32).collect();
    ids.into_flattened().into()
}

/// 32 lower-case digits.
#[must_use]
pub(crate) fn hexadecimal(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    HEXLOWER.encode_mut(&number.to_be_bytes(), &mut digits);
    digits
}

/// A request's trace context (W3C Trace Context level 1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes, never all zero: the caller's, or a new one.
    pub trace_id: TraceId,
    /// The caller's span (8 bytes), if it sent one.
    pub parent_span_id: Option<u64>,
    /// Whether this request is recorded.
    pub sampled: bool,
    /// The caller's `tracestate`, unchanged.
    pub tracestate: Option<HeaderValue>,
}

/// 16 bytes; shown as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<RequestContext>>> = const { RefCell::new(None) };
}

/// The request that is being polled on this thread.
#[must_use]
pub fn current() -> Option<Arc<RequestContext>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs `f` with the current request, without counting a reference; `None` outside any.
pub(crate) fn with_current<T>(f: impl FnOnce(Option<&RequestContext>) -> T) -> T {
    CURRENT.with_borrow(|context| f(context.as_deref()))
}

/// Runs `f` inside `context`.
pub(crate) fn enter<T>(context: &Arc<RequestContext>, f: impl FnOnce() -> T) -> T {
    let _restore = Restore(CURRENT.replace(Some(Arc::clone(context))));
    let _attached = context.span.clone().map(OtelContext::attach);
    f()
}

/// Restores the outer request, even if a poll panics.
struct Restore(Option<Arc<RequestContext>>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Wraps `future` so that each of its polls runs inside `context`.
pub fn scope<F: Future>(context: Arc<RequestContext>, future: F) -> Scope<F> {
    Scope { context, future }
}

pin_project! {
    /// A future inside a request; see [`scope`].
    pub struct Scope<F> {
        context: Arc<RequestContext>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<F::Output> {
        let this = self.project();
        enter(this.context, || this.future.poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_several_batches_and_threads_are_all_different() {
        let ids = || (0..100).map(|_| new_id()).collect::<Vec<_>>();
        let elsewhere = std::thread::spawn(ids).join().expect("no panic");
        let all: HashSet<HeaderValue> = ids().into_iter().chain(elsewhere).collect();
        assert_eq!(all.len(), 200);
        let is_hexadecimal = |id: &HeaderValue| id.as_bytes().iter().all(|digit| b"0123456789abcdef".contains(digit));
        assert!(all.iter().all(|id| id.len() == 32 && is_hexadecimal(id)));
    }
}
