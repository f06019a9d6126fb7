//! The streams of an HTTP/2 connection: those whose response is not ready at the first poll become tasks that can be cancelled individually.
//!
//! Most responses are ready at the first poll, so it comes before there is a task: that saves its allocation, its turn in
//! the queue and its wake-up. A request whose body is to come is a task at once: its handler may block until the rest has
//! come, which is read by who would have polled it. hyper polls a response body only while the peer's window is open, so a stalled stream
//! cannot end itself. We own its task: dropping it releases the stream, and h2 sends `RST_STREAM`.
//!
//! Next: [`super::streams`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{state::State, streams::Stream};

/// 1 ms: about a hundred small requests. What follows them in the same read is left to the other workers, and the
/// responses that are ready leave.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Runs what hyper makes of the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Executor {
    state: Arc<State>,
    /// A single worker has nobody to leave anything to.
    is_alone: bool,
}

impl Executor {
    pub(super) fn new(state: &Arc<State>) -> Self {
        let is_alone = Handle::current().metrics().num_workers() == 1;
        Self { state: Arc::clone(state), is_alone }
    }
}

impl<F: Future<Output = ()> + Send + Unpin + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, mut future: F) {
        // hyper calls the service, and then hands over the stream of that request.
        let streams = &self.state.streams;
        let Some(begun) = streams.take_begun() else {
            tokio::spawn(future);
            return;
        };
        if begun.is_whole && (self.is_alone || (begun.waited <= AT_ONCE && !streams.is_apart())) {
            let polled = poll_once(&mut future);
            streams.polled(&begun, AT_ONCE);
            if polled.is_ready() {
                return begun.stream.set_done();
            }
        }
        tokio::spawn(Resettable { future: Some(future), stream: begun.stream });
    }
}

/// Nothing wakes it: its task polls it again. A panic ends it alone, as it does a task.
fn poll_once(future: &mut (impl Future<Output = ()> + Unpin)) -> Poll<()> {
    let mut cx = Context::from_waker(Waker::noop());
    catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(&mut cx))).unwrap_or(Poll::Ready(()))
}

struct Resettable<F> {
    future: Option<F>,
    stream: Arc<Stream>,
}

impl<F: Future<Output = ()> + Unpin> Future for Resettable<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = this.future.as_mut() else { return Poll::Ready(()) };
        if !this.stream.is_reset() {
            if Pin::new(future).poll(cx).is_ready() {
                this.stream.set_done();
                return Poll::Ready(());
            }
            this.stream.register(cx.waker());
            if !this.stream.is_reset() {
                return Poll::Pending;
            }
        }
        this.future = None;
        Poll::Ready(())
    }
}
