//! The streams of an HTTP/2 connection as tasks that can be cancelled individually.
//!
//! hyper polls a response body only while the peer's window is open, so a stalled stream cannot end itself. We own its
//! task: dropping it releases the stream, and h2 sends `RST_STREAM`.
//!
//! Next: [`super::streams`].

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{state::State, streams::Stream};

/// Spawns what hyper makes of the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Executor(Arc<State>);

impl Executor {
    pub(super) fn new(state: &Arc<State>) -> Self {
        Self(Arc::clone(state))
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        // hyper calls the service, and then hands over the stream of that request.
        match self.0.streams.take_begun() {
            Some(stream) => tokio::spawn(Resettable { future: Some(future), stream }),
            None => tokio::spawn(future),
        };
    }
}

pin_project! {
    struct Resettable<F> {
        #[pin]
        future: Option<F>,
        stream: Arc<Stream>,
    }
}

impl<F: Future<Output = ()>> Future for Resettable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        if !this.stream.is_reset() {
            if future.poll(cx).is_ready() {
                this.stream.set_done();
                return Poll::Ready(());
            }
            this.stream.register(cx.waker());
            if !this.stream.is_reset() {
                return Poll::Pending;
            }
        }
        this.future.set(None);
        Poll::Ready(())
    }
}
