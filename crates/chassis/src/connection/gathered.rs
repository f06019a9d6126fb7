//! Combines small parts of a request body, since collecting a body costs memory per part, not only per byte.
//!
//! A body of 2 MB in chunks of one byte is two million handles of 32 bytes, and each of them may keep a whole buffer of
//! the connection. So parts below 4 KiB are copied together while more are available. A single one is passed on
//! at once: a streaming handler must see it. Only a body of very many parts waits briefly for more.
//!
//! Next: [`super::body`].

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// 4 KiB: a larger piece is worth the buffer that it keeps.
const SMALL: usize = 4 * 1024;
/// 8 KiB: a body of 2 MiB is 256 of them.
const FULL: usize = 8 * 1024;
/// 1,024: the small pieces of a body that are handed on as they come, 64 bytes each to who collects them.
const AT_ONCE: u32 = 1024;
/// 10 ms: after that many, a small piece waits this long for others; too short for a person to see.
const WAIT: Duration = Duration::from_millis(10);

/// A body whose small pieces are gathered.
pub(crate) struct Gathered<B: HttpBody> {
    body: B,
    small: Vec<u8>,
    /// What followed them: a large part, trailers or an error.
    next: Option<Result<Frame<Bytes>, B::Error>>,
    is_over: bool,
    /// The task was woken to poll again, in case more is available.
    is_asked: bool,
    /// Small pieces that were handed on.
    handed: u32,
    last: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: HttpBody<Data = Bytes> + Unpin> Gathered<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            body,
            small: Vec::new(),
            next: None,
            is_over: false,
            is_asked: false,
            handed: 0,
            last: None,
            timer: None,
        }
    }

    /// Takes what is available. Ready: nothing is worth waiting for.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.is_over = true,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    // The last piece of all is gathered with nothing: it is not worth a copy.
                    Ok(data) if data.len() < SMALL && !(self.small.is_empty() && self.body.is_end_stream()) => {
                        self.is_asked = false;
                        self.small.extend_from_slice(&data);
                        if self.small.len() < FULL {
                            continue;
                        }
                    }
                    Ok(data) => self.next = Some(Ok(Frame::data(data))),
                    Err(frame) => self.next = Some(Ok(frame)),
                },
                Poll::Ready(Some(Err(error))) => self.next = Some(Err(error)),
            }
            return Poll::Ready(());
        }
    }

    /// Whether more may come so soon that the small pieces wait for it.
    fn waits(&mut self, cx: &mut Context<'_>) -> bool {
        if !std::mem::replace(&mut self.is_asked, true) {
            // hyper gives one chunk for each turn of its own, in the same task.
            cx.waker().wake_by_ref();
            return true;
        }
        let Some(last) = self.last.filter(|_| self.handed >= AT_ONCE) else { return false };
        let until = last + WAIT;
        if until <= Instant::now() {
            return false;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx).is_pending()
    }

    /// The small pieces as one, in memory of just their length.
    fn hand_on(&mut self) -> Frame<Bytes> {
        let data = Bytes::copy_from_slice(&self.small);
        self.small.clear();
        self.is_asked = false;
        self.handed = self.handed.saturating_add(1);
        self.last = (self.handed >= AT_ONCE).then(Instant::now);
        Frame::data(data)
    }

    fn ahead(&self) -> usize {
        let next = self.next.as_ref().and_then(|next| next.as_ref().ok()?.data_ref());
        self.small.len() + next.map_or(0, Bytes::len)
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Gathered<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.next.is_none()
            && !this.is_over
            && this.gather(cx).is_pending()
            && (this.small.is_empty() || this.waits(cx))
        {
            return Poll::Pending;
        }
        if this.small.is_empty() { Poll::Ready(this.next.take()) } else { Poll::Ready(Some(Ok(this.hand_on()))) }
    }

    fn is_end_stream(&self) -> bool {
        self.small.is_empty() && self.next.is_none() && (self.is_over || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, ahead) = (self.body.size_hint(), self.ahead() as u64);
        let mut sum = SizeHint::new();
        if let Some(upper) = hint.upper() {
            sum.set_upper(upper.saturating_add(ahead));
        }
        sum.set_lower(hint.lower().saturating_add(ahead));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures_util::{Stream, StreamExt, stream};
    use http_body_util::BodyExt;

    fn gathered(parts: impl Stream<Item = &'static [u8]> + Send + 'static) -> Gathered<Body> {
        Gathered::new(Body::from_stream(parts.map(Ok::<_, std::io::Error>)))
    }

    async fn lengths(mut body: Gathered<Body>) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.expect("a part").into_data().expect("data").len());
        }
        assert!(body.is_end_stream());
        lengths
    }

    /// As hyper gives chunks: one, and the next when the task is polled again.
    fn by_turns(count: usize) -> impl Stream<Item = &'static [u8]> + Send {
        stream::iter(0..count).then(|_| async {
            tokio::task::yield_now().await;
            b"x".as_slice()
        })
    }

    #[tokio::test]
    async fn bytes_one_by_one_are_few_pieces() {
        assert_eq!(lengths(gathered(stream::repeat(b"x".as_slice()).take(20_000))).await, [8192, 8192, 3616]);
        assert_eq!(lengths(gathered(by_turns(20_000))).await, [8192, 8192, 3616]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_piece_that_comes_alone_is_seen_at_once() {
        let begun = Instant::now();
        let mut body = gathered(stream::iter([b"first".as_slice()]).chain(stream::pending()));
        let first = body.frame().await.expect("a frame").expect("a part");
        assert_eq!(first.into_data().expect("data"), "first");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_large_piece_goes_on_as_it_is_behind_the_small_ones() {
        static LARGE: [u8; SMALL] = [0; SMALL];
        let mut body = gathered(stream::iter([b"1".as_slice(), b"2", &LARGE, b"3"]));
        assert_eq!(body.frame().await.expect("small").expect("a part").into_data().expect("data"), "12");
        assert_eq!(body.size_hint().lower(), LARGE.len() as u64);
        let large = body.frame().await.expect("large").expect("a part").into_data().expect("data");
        assert_eq!(large.as_ptr(), LARGE.as_ptr(), "copied");
        assert_eq!(lengths(body).await, [1]);
    }

    #[tokio::test]
    async fn an_error_comes_behind_the_pieces_before_it() {
        let parts = [Ok("1"), Err(std::io::Error::other("gone"))];
        let mut body = Gathered::new(Body::from_stream(stream::iter(parts)));
        assert!(body.frame().await.expect("a frame").is_ok());
        assert!(body.frame().await.expect("a frame").is_err());
    }

    /// A byte each millisecond: two minutes of them, which a collector would pay 64 bytes each for.
    #[tokio::test(start_paused = true)]
    async fn very_many_lone_pieces_wait_for_each_other() {
        let dripping = stream::iter(0..120_000).then(|_| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            b"x".as_slice()
        });
        let pieces = lengths(gathered(dripping)).await;
        assert_eq!(pieces.iter().sum::<usize>(), 120_000);
        assert_eq!(pieces[..1000], [1; 1000], "the first are handed on as they come");
        assert!(pieces.len() < 1024 + 120_000 / 8, "{} pieces", pieces.len());
    }
}
