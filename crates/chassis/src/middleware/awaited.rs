//! A request body whose client is waited for, with a timeout.
//!
//! The first time that nothing is there, its client is waited for: that arms a timer, lends the request's place and registers
//! an upload. It does so even where the body has come with its head, which hyper hands on in the next turn: with a thousand
//! bodies at once that turn comes late, and the wait for it would read as latency of the handlers.
//!
//! Next: [`super::uploads`].

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use http_body_util::Limited;
use tower_http::timeout::TimeoutBody;

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

/// A body, and how long its client may take for each part.
pub(super) struct Awaited {
    timeout: Duration,
    /// Until its client is waited for.
    here: Option<Limited<Body>>,
    /// From then on. Boxed: few bodies come to it, and a timer is large.
    timed: Option<Pin<Box<TimeoutBody<Limited<Body>>>>>,
}

impl Awaited {
    pub(super) fn new(body: Limited<Body>, timeout: Duration) -> Self {
        Self { timeout, here: Some(body), timed: None }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        if let Some(body) = &mut self.here {
            let polled = Pin::new(body).poll_frame(cx);
            if polled.is_ready() {
                return polled;
            }
        }
        if let Some(body) = self.here.take() {
            self.timed = Some(Box::pin(TimeoutBody::new(self.timeout, body)));
        }
        self.timed.as_mut().map_or(Poll::Ready(None), |timed| timed.as_mut().poll_frame(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io};

    use futures_util::stream;
    use tokio::task::yield_now;

    use super::*;

    /// One part, which is there at the poll after so many.
    fn after(polls: usize) -> Awaited {
        let part = async move {
            for _ in 0..polls {
                yield_now().await;
            }
            Ok::<_, io::Error>("part")
        };
        Awaited::new(Limited::new(Body::from_stream(stream::once(part)), 4), Duration::from_secs(1))
    }

    #[tokio::test]
    async fn a_part_that_is_there_is_not_waited_for() {
        for (polls, is_timed) in [(0, false), (1, true), (2, true)] {
            let mut body = after(polls);
            let part = poll_fn(|cx| body.poll_frame(cx)).await.expect("a part").expect("in time");
            assert_eq!(part.into_data().expect("data"), "part");
            assert_eq!(body.timed.is_some(), is_timed, "there after {polls} polls");
        }
    }
}
