//! The work runtime: its threads run the handlers that are CPU-bound, and their number follows the CPU.
//!
//! A runtime of tokio keeps its number of threads. So another number is another runtime, which takes all work from then
//! on. The one before ends what it has and waits: sockets and timers that handlers keep (a database's pool) are its own,
//! and would break with it. It is used again when the number comes back.
//!
//! Next: [`crate::replica`], which starts it.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    runtime::{Handle, Runtime},
    task::JoinHandle,
};

/// 8: more sizes than a pod gets in its life. Then the next smaller one there is has to do, and threads that wait stay few.
const MOST_RUNTIMES: usize = 8;

/// Starts a runtime with that many threads.
pub(crate) type Build = Box<dyn Fn(usize) -> io::Result<Runtime> + Send + Sync>;

/// Where CPU-bound handlers run; a cheap handle.
#[derive(Clone)]
pub(crate) struct WorkRuntime(Arc<Inner>);

struct Inner {
    current: ArcSwap<Handle>,
    /// All that were started.
    started: Mutex<Vec<Runtime>>,
    build: Build,
}

impl WorkRuntime {
    /// With `threads` threads at first.
    pub(crate) fn start(threads: usize, build: Build) -> io::Result<Self> {
        let first = build(threads)?;
        let current = ArcSwap::from_pointee(first.handle().clone());
        Ok(Self(Arc::new(Inner { current, started: Mutex::new(vec![first]), build })))
    }

    /// Runs `work` on one of its threads.
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.0.current.load().spawn(work)
    }

    /// Runs what comes from now on with `threads` threads. Returns how many they are: without enough memory for more, or
    /// after many sizes, it may be another number.
    pub(crate) fn resize(&self, threads: usize) -> usize {
        let mut started = self.0.started();
        let is_known = started.iter().any(|runtime| threads_of(runtime) == threads);
        if !is_known && started.len() < MOST_RUNTIMES {
            match (self.0.build)(threads) {
                Ok(runtime) => started.push(runtime),
                Err(error) => tracing::warn!(%error, threads, "cannot start the threads of the work runtime"),
            }
        }
        if let Some(next) = nearest(&started, threads) {
            self.0.current.store(Arc::new(next.handle().clone()));
        }
        self.threads()
    }

    /// How many threads run what comes now.
    pub(crate) fn threads(&self) -> usize {
        self.0.current.load().metrics().num_workers()
    }

    /// All runtimes that were started, the present one first.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        let current = self.threads();
        let mut handles: Vec<_> = self.0.started().iter().map(|runtime| runtime.handle().clone()).collect();
        // One of each size.
        handles.sort_by_key(|handle| handle.metrics().num_workers() != current);
        handles
    }

    /// Ends all of them; each gets that long for what it has. Not on one of their own threads.
    pub(crate) fn shutdown(&self, timeout: Duration) {
        let started = std::mem::take(&mut *self.0.started());
        started.into_iter().for_each(|runtime| runtime.shutdown_timeout(timeout));
    }
}

fn threads_of(runtime: &Runtime) -> usize {
    runtime.metrics().num_workers()
}

/// The largest that has no more than `threads`; the smallest where all have.
fn nearest(started: &[Runtime], threads: usize) -> Option<&Runtime> {
    let fits = started.iter().filter(|runtime| threads_of(runtime) <= threads).max_by_key(|one| threads_of(one));
    fits.or_else(|| started.iter().min_by_key(|one| threads_of(one)))
}

impl Inner {
    fn started(&self) -> MutexGuard<'_, Vec<Runtime>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // It may be the end of a task, where a runtime must not be waited for.
        let started = std::mem::take(&mut *self.started());
        started.into_iter().for_each(Runtime::shutdown_background);
    }
}

impl fmt::Debug for WorkRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkRuntime").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Barrier, thread};

    use tokio::{runtime::Builder, sync::oneshot};

    use super::*;

    fn started(threads: usize) -> WorkRuntime {
        let build = |threads| Builder::new_multi_thread().worker_threads(threads).enable_all().build();
        WorkRuntime::start(threads, Box::new(build)).expect("a runtime")
    }

    /// How many tasks run at once, when each blocks its thread until all have been begun.
    async fn width(work: &WorkRuntime) -> usize {
        let barrier = Arc::new(Barrier::new(work.threads()));
        let tasks = (0..work.threads()).map(|_| {
            let barrier = Arc::clone(&barrier);
            work.spawn(async move {
                barrier.wait();
                thread::current().id()
            })
        });
        let mut threads = HashSet::new();
        for task in tasks.collect::<Vec<_>>() {
            threads.insert(task.await.expect("it ran"));
        }
        threads.len()
    }

    #[tokio::test]
    async fn work_runs_on_as_many_threads_as_there_are_now() {
        let work = started(1);
        for threads in [1, 4, 2, 4, 1] {
            assert_eq!(work.resize(threads), threads);
            assert_eq!(width(&work).await, threads);
        }
        let sizes: Vec<_> = work.handles().iter().map(|handle| handle.metrics().num_workers()).collect();
        assert_eq!(sizes, [1, 4, 2], "the present one first, and none twice");
    }

    #[tokio::test]
    async fn what_had_begun_goes_on() {
        let work = started(2);
        let (open, opened) = oneshot::channel::<()>();
        let begun = work.spawn(async {
            opened.await.expect("it is opened");
            // A timer of the runtime on which it began.
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
        work.resize(1);
        work.resize(3);
        open.send(()).expect("it waits");
        begun.await.expect("it ran to its end");
    }

    #[tokio::test]
    async fn the_number_of_runtimes_is_bounded() {
        let work = started(2);
        for threads in 2..=20 {
            work.resize(threads);
        }
        assert_eq!(work.handles().len(), MOST_RUNTIMES);
        assert_eq!(work.resize(9), 9);
        assert_eq!(work.resize(20), 9, "the largest that there is");
        assert_eq!(work.resize(1), 2, "the smallest that there is");
    }

    #[tokio::test]
    async fn threads_that_cannot_be_started_leave_it_as_it_was() {
        let build = |threads| match threads {
            2 => Builder::new_multi_thread().worker_threads(2).enable_all().build(),
            _ => Err(io::Error::other("no thread")),
        };
        let work = WorkRuntime::start(2, Box::new(build)).expect("a runtime");
        assert_eq!(work.resize(4), 2);
        assert_eq!(width(&work).await, 2);
    }
}
