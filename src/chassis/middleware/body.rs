//! A request body's bounds: its size, and how long and how slowly it may come.
//!
//! Next: [`super::record`].

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{LengthLimitError, Limited};
use pin_project_lite::pin_project;
use tower_http::timeout::{TimeoutBody, TimeoutError};

use crate::chassis::{
    connection::{ConnectionInfo, Pace},
    problem::{BodyError, Code},
};

/// Which bound a body broke, if it did: whatever the handler makes of the error, the client is told this.
pub(super) type Broken = Arc<OnceLock<Code>>;

/// Holds `body` to `bounds`.
pub(super) fn bound(body: Body, bounds: Bounds) -> (Body, Broken) {
    let left = body.size_hint().exact();
    let inner = TimeoutBody::new(bounds.timeout, Limited::new(body, bounds.limit));
    let broken = Broken::default();
    let (pace, connection) = (Pace::new(bounds.min_rate), bounds.connection);
    (Body::new(Bounded { inner, left, pace, connection, broken: Arc::clone(&broken), failed: false }), broken)
}

/// What a body is held to.
pub(super) struct Bounds {
    /// Bytes in all.
    pub(super) limit: usize,
    /// Between two parts.
    pub(super) timeout: Duration,
    /// Bytes a second of waiting; zero turns it off.
    pub(super) min_rate: u64,
    /// Where it comes from.
    pub(super) connection: Option<ConnectionInfo>,
}

pin_project! {
    struct Bounded {
        #[pin]
        inner: TimeoutBody<Limited<Body>>,
        // Bytes that are still to come, where known: the timeout's body does not tell.
        left: Option<u64>,
        pace: Pace,
        connection: Option<ConnectionInfo>,
        broken: Broken,
        failed: bool,
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if *this.failed {
            return Poll::Ready(None);
        }
        let polled = this.inner.poll_frame(cx);
        if polled.is_pending() {
            this.pace.wait();
        }
        let result = match ready!(polled) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                *this.left = this.left.map(|left| left.saturating_sub(bytes));
                if this.pace.moved(bytes) { Ok(frame) } else { Err(BodyError::TimedOut) }
            }
            Some(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
            Some(Err(error)) if error.is::<TimeoutError>() => Err(BodyError::TimedOut),
            Some(Err(_)) => Err(BodyError::Disconnected),
        };
        *this.failed = result.is_err();
        if let Some(code) = result.as_ref().err().copied().and_then(code_of) {
            let _ = this.broken.set(code);
            if let (Code::RequestTimeout, Some(connection)) = (code, this.connection) {
                connection.abandon_body();
            }
        }
        Poll::Ready(Some(result))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn code_of(error: BodyError) -> Option<Code> {
    match error {
        BodyError::TooLarge => Some(Code::BodyTooLarge),
        BodyError::TimedOut => Some(Code::RequestTimeout),
        BodyError::Disconnected => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    async fn read(body: Body) -> Result<usize, BodyError> {
        match body.collect().await {
            Ok(collected) => Ok(collected.to_bytes().len()),
            Err(error) => Err(BodyError::find(&error)),
        }
    }

    fn dripping(every: Duration, parts: usize) -> Body {
        let part = move |_| async move {
            tokio::time::sleep(every).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        };
        Body::from_stream(stream::iter(0..parts).then(part))
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn bound(body: Body, limit: usize, timeout: Duration, min_rate: u64) -> Body {
        super::bound(body, Bounds { limit, timeout, min_rate, connection: None }).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_its_bounds_is_read() {
        assert_eq!(read(bound(Body::from("12345"), 5, SECOND, 240)).await.expect("reads"), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_above_the_limit_is_too_large() {
        let error =
            read(bound(Body::from_stream(stream::iter([Ok::<_, std::io::Error>("123456")])), 5, SECOND, 0)).await;
        assert!(matches!(error, Err(BodyError::TooLarge)), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_times_out() {
        let error = read(bound(dripping(SECOND * 31, 2), 5, SECOND * 30, 0)).await;
        assert!(matches!(error, Err(BodyError::TimedOut)), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_below_the_rate_times_out() {
        let start = tokio::time::Instant::now();
        let error = read(bound(dripping(SECOND, 60), 1000, SECOND * 30, 240)).await;
        assert!(matches!(error, Err(BodyError::TimedOut)), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
