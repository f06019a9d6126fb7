//! Limits of a request body: its size, its duration and its speed.
//!
//! While it waits for its client it lends the request's place to others, and counts as an upload.
//!
//! Next: [`super::awaited`].

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
use tower_http::timeout::TimeoutError;

use super::{awaited::Awaited, uploads::Tracked};
use crate::{
    overload::{Coming, Loan, Return},
    peer::{ConnectionInfo, Pace},
    problem::{BodyError, Code},
};

/// The limit that a body exceeded, if any: the client gets this status whatever the handler does with the error.
pub(super) type Broken = Arc<OnceLock<Code>>;

/// The middleware's part of a body passed to a handler.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) broken: Broken,
    /// Where the request's place is for the body to lend.
    pub(super) loan: Loan,
}

/// Enforces `bounds` on `body`.
pub(super) fn bound(body: Body, bounds: Bounds) -> (Body, Bound) {
    let left = body.size_hint().exact();
    let inner = Awaited::new(Limited::new(body, bounds.limit), bounds.timeout);
    let bound = Bound::default();
    let waiting = Waiting { loan: bound.loan.clone(), is_lent: false, returning: None, upload: bounds.upload };
    let body = Bounded {
        inner,
        left,
        pace: Pace::new(bounds.min_rate),
        connection: bounds.connection,
        broken: Arc::clone(&bound.broken),
        failed: false,
        waiting,
    };
    (Body::new(body), bound)
}

/// The limits of a body.
pub(super) struct Bounds {
    /// Bytes in total.
    pub(super) limit: usize,
    /// Between two parts.
    pub(super) timeout: Duration,
    /// Bytes a second of waiting; zero turns it off.
    pub(super) min_rate: u64,
    /// Where it comes from.
    pub(super) connection: Option<ConnectionInfo>,
    pub(super) upload: Tracked,
}

type Polled = Option<Result<Frame<Bytes>, BodyError>>;

struct Bounded {
    inner: Awaited,
    /// Remaining bytes, if known: the timeout's body does not report them.
    left: Option<u64>,
    pace: Pace,
    connection: Option<ConnectionInfo>,
    broken: Broken,
    failed: bool,
    waiting: Waiting,
}

/// The state of the request while it waits for its client.
struct Waiting {
    loan: Loan,
    is_lent: bool,
    /// The place that is being returned, and the data to deliver then.
    returning: Option<(Coming, Polled)>,
    upload: Tracked,
}

impl Waiting {
    /// Lends the place. Returns whether the upload must end for others.
    fn begin(&mut self, cx: &Context<'_>) -> bool {
        if !std::mem::replace(&mut self.is_lent, true) {
            self.loan.lend();
        }
        self.upload.waits(cx)
    }

    /// Delivers `polled` once the place is back. An error needs none: little work is left.
    fn end(&mut self, polled: Polled, cx: &mut Context<'_>) -> Poll<Polled> {
        if !std::mem::take(&mut self.is_lent) {
            return Poll::Ready(polled);
        }
        if matches!(polled, Some(Err(_))) {
            self.loan.force();
            return Poll::Ready(polled);
        }
        match self.loan.return_now() {
            Return::Here => Poll::Ready(polled),
            Return::Later(place) => {
                self.returning = Some((place, polled));
                self.poll_return(cx).map(Option::flatten)
            }
        }
    }

    /// The data that waited for the place, if any.
    fn poll_return(&mut self, cx: &mut Context<'_>) -> Poll<Option<Polled>> {
        let Some((place, _)) = &mut self.returning else { return Poll::Ready(None) };
        let place = ready!(place.as_mut().poll(cx));
        self.loan.put_back(place);
        Poll::Ready(self.returning.take().map(|(_, polled)| polled))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_lent || self.returning.is_some() {
            self.loan.force();
        }
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        let this = self.get_mut();
        if let Some(polled) = ready!(this.waiting.poll_return(cx)) {
            return Poll::Ready(polled);
        }
        if this.failed {
            return Poll::Ready(None);
        }
        let result = match this.inner.poll_frame(cx) {
            Poll::Pending => {
                this.pace.wait();
                if !this.waiting.begin(cx) {
                    return Poll::Pending;
                }
                Err(BodyError::TimedOut)
            }
            Poll::Ready(None) => {
                this.waiting.upload.end();
                return this.waiting.end(None, cx);
            }
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                this.left = this.left.map(|left| left.saturating_sub(bytes));
                // A client that sends faster than it is read is never waited for, and may be the one that has to end.
                let must_end = this.left != Some(0) && this.waiting.upload.is_shed();
                if this.pace.moved(bytes) && !must_end { Ok(frame) } else { Err(BodyError::TimedOut) }
            }
            Poll::Ready(Some(Err(error))) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
            Poll::Ready(Some(Err(error))) if error.is::<TimeoutError>() => Err(BodyError::TimedOut),
            Poll::Ready(Some(Err(_))) => Err(BodyError::Disconnected),
        };
        this.failed = result.is_err();
        if let Some(code) = result.as_ref().err().copied().and_then(code_of) {
            let _ = this.broken.set(code);
            if let (Code::RequestTimeout, Some(connection)) = (code, &this.connection) {
                connection.abandon_body();
            }
        }
        let is_last = this.failed || this.left == Some(0);
        let upload = &mut this.waiting.upload;
        let result = result.map(|frame| if is_last { frame } else { frame.map_data(|bytes| upload.part(bytes)) });
        if is_last {
            upload.end();
        }
        this.waiting.end(Some(result), cx)
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.returning.is_none() && (self.failed || self.left == Some(0))
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
    use arc_swap::ArcSwap;
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;
    use prometheus::Registry;

    use super::*;
    use crate::middleware::{Settings, uploads::Uploads};

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
        let settings = Arc::new(ArcSwap::from_pointee(Settings::default()));
        let upload = Tracked::new(&Uploads::new(settings, &Registry::new()));
        super::bound(body, Bounds { limit, timeout, min_rate, connection: None, upload }).0
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
