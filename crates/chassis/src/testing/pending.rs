//! What a test waits for, in either kind of test.
//!
//! It runs on threads of its own, so it goes on while a plain `#[test]` blocks, and while the one thread of a
//! `#[tokio::test]` serves something that the service calls.
//!
//! Next: `request`.

use std::{
    future::Future,
    io, panic,
    pin::{Pin, pin},
    sync::{Arc, LazyLock},
    task::{Context, Poll, Wake, ready},
    thread::{self, Thread},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::{JoinHandle, block_in_place},
    time::{Instant, sleep},
};

/// A start and a stop of a debug build on a busy machine take seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Nobody notices 5 ms, and a state that lasts longer is not missed.
const PERIOD: Duration = Duration::from_millis(5);

/// Two threads: predicates of tests run here, and one of them may block.
static CLIENTS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("test-client").enable_all();
    builder.build().expect("a process may have two more threads")
});

/// Something that is under way: `.await` it in a `#[tokio::test]`, or [`wait`](Self::wait) in a `#[test]`.
///
/// It goes on by itself; dropping it gives it up.
#[derive(Debug)]
#[must_use = "dropping it gives it up: await it, or call `wait`"]
pub struct Pending<T>(JoinHandle<io::Result<T>>);

impl<T: Send + 'static> Pending<T> {
    /// `work`, which has bounds of its own.
    pub(super) fn start(work: impl Future<Output = io::Result<T>> + Send + 'static) -> Self {
        Self(CLIENTS.spawn(work))
    }

    /// What `probe` gives. It is asked until it gives something; what it says instead is in the error.
    pub(super) fn poll<F>(what: String, probe: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, String>> + Send,
    {
        Self::start(async move {
            poll(probe).await.map_err(|seen| io::Error::other(format!("not within {PATIENCE:?}: {what}; {seen}")))
        })
    }

    /// Blocks this thread until it is there.
    ///
    /// # Panics
    /// When it fails, or takes longer than 30 s.
    #[must_use]
    #[track_caller]
    pub fn wait(self) -> T {
        self.try_wait().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Blocks this thread until it is there.
    ///
    /// # Errors
    /// When it fails, such as a request whose connection is refused, or takes longer than 30 s.
    pub fn try_wait(mut self) -> io::Result<T> {
        // A predicate that asks something itself: what it waits for may be next on its own thread.
        if Handle::try_current().is_ok_and(|current| current.id() == CLIENTS.handle().id()) {
            return block_in_place(|| self.park());
        }
        self.park()
    }

    fn park(&mut self) -> io::Result<T> {
        let mut ended = pin!(Ended(self));
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(ended) = ended.as_mut().poll(&mut cx) {
                return ended;
            }
            thread::park();
        }
    }
}

/// # Panics
/// As [`wait`](Pending::wait).
impl<T: Send + 'static> Future for Pending<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let ended = ready!(Pin::new(&mut Ended(&mut self)).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The same, or what was said last.
pub(super) async fn poll<T, F>(mut probe: impl FnMut() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let probed = probe().await;
        if probed.is_ok() || Instant::now() >= deadline {
            return probed;
        }
        sleep(PERIOD).await;
    }
}

struct Ended<'a, T>(&'a mut Pending<T>);

impl<T> Future for Ended<'_, T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let ended = ready!(Pin::new(&mut self.0.0).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|panicked| panic::resume_unwind(panicked.into_panic())))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
