//! A response body whose length is not known before its end.
//!
//! Next: [`super::id`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{observation::Observation, request_future::discard};
use crate::{peer::turn, request};

/// A response body of unknown length; its end is the request's.
pub(super) struct Watched {
    body: Body,
    /// Gone when the request has been counted.
    observation: Option<Observation>,
    status: StatusCode,
    bytes: u64,
}

impl Watched {
    pub(super) fn new(body: Body, observation: Observation, status: StatusCode) -> Self {
        Self { body, observation: Some(observation), status, bytes: 0 }
    }

    fn end(&mut self) {
        if let Some(mut observation) = self.observation.take() {
            observation.end(self.status, self.bytes, Instant::now());
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        turn::forget();
        let Some(observation) = &this.observation else { return Pin::new(&mut this.body).poll_frame(cx) };
        let polled = request::enter(&observation.context, || {
            catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx)))
        });
        let polled = polled.unwrap_or_else(|panic| {
            discard(panic);
            // The head was sent: breaking the connection is the only way to show that the response is incomplete.
            Poll::Ready(Some(Err(axum::Error::new("the response body panicked"))))
        });
        match &polled {
            Poll::Ready(Some(Ok(frame))) => this.bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
            Poll::Ready(_) => this.end(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Dropped before its end: the client disconnected during a response whose status it has seen.
        self.end();
    }
}
