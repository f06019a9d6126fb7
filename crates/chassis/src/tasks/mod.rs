//! Background tasks: what a replica does beside its requests, and what it closes at its end.
//!
//! Tasks run on the I/O runtime, from the moment the replica is ready. They are told when the drain begins, awaited
//! within `lifecycle.drain_timeout`, and cut at its end, by name. Their ends are logged and counted. It schedules
//! nothing across replicas: each replica runs its own.
//!
//! Next: [`mod@run`], the ways to run one.

mod metrics;
mod run;
#[cfg(test)]
mod tests;

pub use run::{Ending, Restart};

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use prometheus::Registry;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use self::metrics::{Metrics, Outcome};
use crate::lifecycle::Drain;

tokio::task_local! {
    static NAME: &'static str;
}

/// The background task that runs on this thread now; for the line of its panic.
pub(crate) fn current() -> Option<&'static str> {
    NAME.try_with(|name| *name).ok()
}

/// 100 ms: a task is dropped where it awaits next. One that never does is not waited for.
const CUT_WAIT: Duration = Duration::from_millis(100);

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;
type Closing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The tasks of a replica; clones share them.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Inner>);

struct Inner {
    drain: Drain,
    metrics: Metrics,
    /// Once the replica is ready.
    runtime: OnceLock<Handle>,
    tracker: TaskTracker,
    cut: CancellationToken,
    stage: Mutex<Stage>,
    running: Mutex<BTreeMap<&'static str, u64>>,
    closings: Mutex<Vec<(&'static str, Closing)>>,
}

enum Stage {
    /// The replica is not ready yet.
    Held(Vec<Driver>),
    Open,
    Over,
}

impl Tasks {
    /// No tasks yet; those that are added wait for [`start`](Self::start).
    pub(crate) fn new(registry: &Registry, drain: Drain) -> prometheus::Result<Self> {
        Ok(Self(Arc::new(Inner {
            drain,
            metrics: Metrics::new(registry)?,
            runtime: OnceLock::new(),
            tracker: TaskTracker::new(),
            cut: CancellationToken::new(),
            stage: Mutex::new(Stage::Held(Vec::new())),
            running: Mutex::default(),
            closings: Mutex::default(),
        })))
    }

    /// Runs on `runtime` what was added before, and from now on what is added.
    pub(crate) fn start(&self, runtime: &Handle) {
        let mut stage = self.stage();
        let runtime = self.0.runtime.get_or_init(|| runtime.clone());
        if let Stage::Held(drivers) = std::mem::replace(&mut *stage, Stage::Open) {
            for driver in drivers {
                self.0.tracker.spawn_on(driver, runtime);
            }
        }
    }

    /// Runs when all tasks have ended, in the reverse order of what was added.
    pub(crate) fn close_with<F>(&self, name: &'static str, closing: F)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let closing = NAME.scope(name, async { closing.await.into_result() });
        lock(&self.0.closings).push((name, Box::pin(closing)));
    }

    /// Resolves when no task runs; what is added after that never runs.
    pub(crate) async fn ended(&self) {
        self.0.tracker.close();
        loop {
            self.0.tracker.wait().await;
            let mut stage = self.stage();
            if self.0.tracker.is_empty() {
                *stage = Stage::Over;
                return;
            }
        }
    }

    /// Cuts what still runs off; how many tasks that are.
    pub(crate) fn cut(&self) -> u64 {
        *self.stage() = Stage::Over;
        let running = lock(&self.0.running).clone();
        for (name, count) in &running {
            tracing::error!(task = name, count, "drain_timeout expired; the background task {name} was cut off");
            self.0.metrics.count(name, Outcome::Cut, *count);
        }
        self.0.cut.cancel();
        running.values().sum()
    }

    /// Closes the app's resources, until `deadline`; whether all of it succeeded.
    pub(crate) async fn close(&self, deadline: Instant) -> bool {
        let mut all_succeeded = true;
        let Some(runtime) = self.0.runtime.get() else { return all_succeeded };
        // What was just cut may still hold what is closed now.
        self.0.tracker.close();
        let _ = timeout_at(deadline.min(Instant::now() + CUT_WAIT), self.0.tracker.wait()).await;
        while let Some((name, closing)) = { lock(&self.0.closings).pop() } {
            let closing = AbortOnDropHandle::new(runtime.spawn(closing));
            let error = match timeout_at(deadline, closing).await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(error))) => error,
                Ok(Err(_)) => "it panicked".to_owned(),
                Err(_) => "it took too long and was cut off".to_owned(),
            };
            tracing::error!(task = name, error, "closing {name} failed");
            all_succeeded = false;
        }
        all_succeeded
    }

    fn add(&self, name: &'static str, driver: impl Future<Output = ()> + Send + 'static) {
        self.0.metrics.announce(name);
        let (cut, running) = (self.0.cut.clone(), Running::new(self, name));
        let driver = async move {
            let _running = running;
            let _ = cut.run_until_cancelled(driver).await;
        };
        match (&mut *self.stage(), self.0.runtime.get()) {
            (Stage::Held(drivers), _) => drivers.push(Box::pin(driver)),
            (Stage::Open, Some(runtime)) => drop(self.0.tracker.spawn_on(driver, runtime)),
            _ => tracing::warn!(task = name, "the replica has stopped; the background task {name} never runs"),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        lock(&self.0.stage)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&*lock(&self.0.running)).finish()
    }
}

/// No change behind these locks can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that is there: counted until it is dropped.
struct Running {
    tasks: Tasks,
    name: &'static str,
}

impl Running {
    fn new(tasks: &Tasks, name: &'static str) -> Self {
        *lock(&tasks.0.running).entry(name).or_default() += 1;
        tasks.0.metrics.running(name, 1);
        Self { tasks: tasks.clone(), name }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.0.metrics.running(self.name, -1);
        let mut running = lock(&self.tasks.0.running);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}
