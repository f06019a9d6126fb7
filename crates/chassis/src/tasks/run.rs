//! The ways to run a task: once, again after a failure, or periodically.
//!
//! Next: [`super::metrics`].

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{NAME, Tasks, metrics::Outcome};
use crate::lifecycle::Drain;

/// 1 s: a task that fails at once costs next to nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// 1 min: a dependency that is back for so long has its task again. A task that ran for longer had started well.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// 1 ms: a period of zero would be a loop that never waits.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);
/// A year: one more than any replica lives, and no sum of times overflows.
const LONGEST_PERIOD: Duration = Duration::from_hours(24 * 365);

/// When a task that has ended starts again; never while the replica drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// After a panic. An error is final: it ends the task and nothing else.
    OnPanic,
    /// After a panic or an error. A task that returns without an error is done.
    OnFailure,
    /// Whenever it ends: for a loop that must run as long as the replica does.
    Always,
}

impl Restart {
    const fn follows(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Panicked => true,
            Outcome::Failed => matches!(self, Self::OnFailure | Self::Always),
            Outcome::Completed => matches!(self, Self::Always),
            Outcome::Cut => false,
        }
    }
}

/// What a background task may return: nothing, or a result whose error is logged.
pub trait Ending: Send + 'static {
    /// The error as text.
    ///
    /// # Errors
    /// The task's own.
    fn into_result(self) -> Result<(), String>;
}

impl Ending for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display + Send + 'static> Ending for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// Of a task that loops for ever.
impl Ending for Never {
    fn into_result(self) -> Result<(), String> {
        self
    }
}

/// The type `!`, which stable Rust names only as what a function returns.
type Never = <fn() -> ! as Returns>::Output;

#[doc(hidden)]
pub trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

impl Tasks {
    /// Runs `task` once.
    pub(crate) fn once<F>(&self, name: &'static str, task: impl FnOnce(Drain) -> F + Send + 'static)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let (tasks, drain) = (self.clone(), self.0.drain.clone());
        self.add(name, async move {
            tasks.run(name, async move { task(drain).await.into_result() }).await;
        });
    }

    /// Runs `task`, and again by `restart`.
    pub(crate) fn again<F>(
        &self,
        name: &'static str,
        restart: Restart,
        task: impl Fn(Drain) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output: Ending> + Send + 'static,
    {
        let (tasks, task) = (self.clone(), Arc::new(task));
        self.add(name, async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let (begun, task, drain) = (Instant::now(), Arc::clone(&task), tasks.0.drain.clone());
                let outcome = tasks.run(name, async move { task(drain).await.into_result() }).await;
                if !restart.follows(outcome) || tasks.0.drain.is_draining() {
                    return;
                }
                if begun.elapsed() > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                tracing::warn!(task = name, ?pause, "the background task {name} ended; it starts again");
                if tasks.drains_within(jittered(pause)).await {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// Runs `task` with a pause of `period` between two runs; the first begins within a period.
    pub(crate) fn every<F>(&self, name: &'static str, period: Duration, task: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let (tasks, task, period) = (self.clone(), Arc::new(task), period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD));
        self.add(name, async move {
            // Replicas that started together do not run it together.
            let mut pause = period.mul_f64(fastrand::f64());
            while !tasks.drains_within(pause).await {
                let task = Arc::clone(&task);
                tasks.run(name, async move { task().await.into_result() }).await;
                pause = jittered(period);
            }
        });
    }

    /// One run, in a task of its own, so that a panic is an outcome. The panic's line is that of the hook.
    async fn run(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Outcome {
        // Tracked, as the driver may be gone before its run is.
        let task = self.0.tracker.track_future(NAME.scope(name, task));
        let outcome = match AbortOnDropHandle::new(tokio::spawn(task)).await {
            Ok(Ok(())) => Outcome::Completed,
            Ok(Err(error)) => {
                tracing::error!(task = name, error, "the background task {name} failed");
                Outcome::Failed
            }
            Err(error) if error.is_panic() => Outcome::Panicked,
            // The runtime ends.
            Err(_) => return Outcome::Cut,
        };
        self.0.metrics.count(name, outcome, 1);
        outcome
    }

    /// Waits for `pause`, or until the drain begins.
    async fn drains_within(&self, pause: Duration) -> bool {
        timeout(pause, self.0.drain.started()).await.is_ok() || self.0.drain.is_draining()
    }
}

/// ±10 %, as for health checks.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}
