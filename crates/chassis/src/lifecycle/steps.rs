//! What a replica waits for before it is ready: a database that answers, a migration, a cache that is filled.
//!
//! The steps run one after the other, each until it succeeds. A failure is retried within a second, so that a replica
//! is ready soon after its dependency is back. A single try has no bound: a migration must not be cut in its middle.
//! `lifecycle.start_timeout` bounds all of them together, and the caller keeps it.
//!
//! Next: [`crate::replica`], which runs them.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};
use tokio_util::task::AbortOnDropHandle;

/// 50 ms: a dependency that starts together with the replica is found at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// 1 s: the replica is ready within 2 s of its dependency's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

type Attempt = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
type Action = Arc<dyn Fn() -> Attempt + Send + Sync>;

/// Why a try of a step failed, and whether another one may succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A dependency may come back.
    Retry(String),
    /// No wait helps: the start ends.
    Last(String),
}

impl Failure {
    /// A failure that may pass.
    pub fn retry(error: impl fmt::Display) -> Self {
        Self::Retry(error.to_string())
    }

    /// A failure that stays.
    pub fn last(error: impl fmt::Display) -> Self {
        Self::Last(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Retry(reason) | Self::Last(reason)) = self;
        f.write_str(reason)
    }
}

/// The steps of a start; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Step>,
    /// The step that runs, and its last error.
    current: Option<(&'static str, Option<String>)>,
    done: Vec<&'static str>,
    is_over: bool,
}

struct Step {
    name: &'static str,
    action: Action,
}

impl Steps {
    /// Adds a step behind the others, which is tried until it succeeds.
    pub(crate) fn add<F, E>(&self, name: &'static str, step: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.add_fallible(name, move || {
            let attempt = step();
            async move { attempt.await.map_err(Failure::retry) }
        });
    }

    /// Adds a step behind the others, which says of each failure whether it is tried again.
    pub(crate) fn add_fallible<F>(&self, name: &'static str, step: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let action: Action = Arc::new(move || Box::pin(step()));
        let mut state = self.state();
        if state.is_over {
            tracing::error!(step = name, "the start is over; the step {name} never runs");
        } else {
            state.waiting.push_back(Step { name, action });
        }
    }

    /// Runs the steps on `runtime`, those included that a step adds, until each has succeeded.
    ///
    /// # Errors
    /// The name and the reason of a step that cannot succeed.
    pub(crate) async fn run(&self, runtime: &Handle) -> Result<(), (&'static str, String)> {
        while let Some(step) = self.next() {
            self.repeat(&step, runtime).await.map_err(|reason| (step.name, reason))?;
            self.succeed(step.name);
        }
        Ok(())
    }

    /// Each step, and whether it is done.
    pub(crate) fn list(&self) -> Vec<(&'static str, bool)> {
        let state = self.state();
        let done = state.done.iter().map(|name| (*name, true));
        let open = state.current.iter().map(|(name, _)| *name).chain(state.waiting.iter().map(|step| step.name));
        done.chain(open.map(|name| (name, false))).collect()
    }

    /// The step that runs, and its last error.
    pub(crate) fn current(&self) -> Option<(&'static str, Option<String>)> {
        self.state().current.clone()
    }

    fn next(&self) -> Option<Step> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        state.current = next.as_ref().map(|step| (step.name, None));
        state.is_over = next.is_none();
        next
    }

    async fn repeat(&self, step: &Step, runtime: &Handle) -> Result<(), String> {
        let mut pause = FIRST_PAUSE;
        while let Err(failure) = attempt(step, runtime).await {
            match failure {
                Failure::Retry(error) => self.fail(step.name, error),
                Failure::Last(error) => return Err(error),
            }
            // Half of it at least, so that replicas that started together do not ask together.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// Only a new reason is a line.
    fn fail(&self, name: &'static str, error: String) {
        let mut state = self.state();
        let Some((_, last)) = &mut state.current else { return };
        if last.as_ref() != Some(&error) {
            tracing::warn!(step = name, error, "not ready yet: {name} failed; it is retried");
            *last = Some(error);
        }
    }

    fn succeed(&self, name: &'static str) {
        let mut state = self.state();
        if state.current.take().is_some_and(|(_, last)| last.is_some()) {
            tracing::info!(step = name, "{name} succeeded");
        }
        state.done.push(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change of it can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One try, as a task of its own: a step that blocks does not block the start, and its panic is a failure.
async fn attempt(step: &Step, runtime: &Handle) -> Result<(), Failure> {
    let action = Arc::clone(&step.action);
    let task = AbortOnDropHandle::new(runtime.spawn(async move { action().await }));
    task.await.unwrap_or_else(|_| Err(Failure::retry("it panicked")))
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Steps").field(&self.list()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn steps_run_in_order_and_each_until_it_succeeds() {
        let steps = Steps::default();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        steps.add("database", move || {
            let nth = counted.fetch_add(1, Relaxed);
            async move { if nth < 5 { Err("away") } else { Ok(()) } }
        });
        let (later, seen) = (steps.clone(), Arc::clone(&tries));
        steps.add("schema", move || {
            assert_eq!(seen.load(Relaxed), 6);
            later.add("cache", async || Ok::<_, &str>(()));
            async { Ok::<_, &str>(()) }
        });
        assert_eq!(steps.list(), [("database", false), ("schema", false)]);
        assert_eq!(steps.run(&Handle::current()).await, Ok(()));
        assert_eq!(steps.list(), [("database", true), ("schema", true), ("cache", true)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_cannot_succeed_is_not_tried_again() {
        let steps = Steps::default();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        steps.add_fallible("schema", move || {
            let nth = counted.fetch_add(1, Relaxed);
            async move { Err(if nth < 2 { Failure::retry("away") } else { Failure::last("too old") }) }
        });
        steps.add("cache", async || Ok::<_, &str>(()));
        assert_eq!(steps.run(&Handle::current()).await, Err(("schema", "too old".to_owned())));
        assert_eq!(tries.load(Relaxed), 3);
        assert_eq!(steps.list(), [("schema", false), ("cache", false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_fails_is_named_with_its_last_error() {
        let steps = Steps::default();
        steps.add("database", async || Err::<(), _>("away"));
        let waited = tokio::time::timeout(Duration::from_mins(1), steps.run(&Handle::current())).await;
        assert!(waited.is_err());
        assert_eq!(steps.current(), Some(("database", Some("away".to_owned()))));
    }
}
