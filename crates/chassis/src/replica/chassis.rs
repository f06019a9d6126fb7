//! What an app gets at its start, and keeps.
//!
//! Next: [`super::migrations`].

use std::{fmt, sync::Arc, time::Duration};

use prometheus::Registry;

use super::{migrations::Migrations, start::Verdicts};
use crate::{
    health::Checks,
    lifecycle::{Drain, Failure, Lifecycle, Steps},
    middleware::Served,
    tasks::{Ending, Restart, Tasks},
    telemetry::{Identity, Propagation, Telemetry},
};

/// What the chassis provides to an app at its start.
#[derive(Clone, Debug)]
pub struct Chassis {
    /// Where the app's own metrics are registered.
    pub registry: Registry,
    /// Where its health checks are registered.
    pub checks: Checks,
    /// Notifies long-running work of the drain.
    pub drain: Drain,
    /// Carries trace context to other services.
    pub propagation: Propagation,
    /// The identity of this replica.
    pub identity: Identity,
    /// The number of completed requests.
    pub served: Arc<Served>,
    pub(crate) migrations: Migrations,
    pub(super) steps: Steps,
    pub(super) tasks: Tasks,
}

impl Chassis {
    pub(super) fn new(telemetry: &Telemetry, verdicts: &Verdicts, identity: Identity) -> prometheus::Result<Self> {
        let drain = verdicts.lifecycle.drain();
        Ok(Self {
            tasks: Tasks::new(telemetry.registry(), drain.clone())?,
            registry: telemetry.registry().clone(),
            checks: verdicts.checks.clone(),
            drain,
            propagation: telemetry.propagation().clone(),
            identity,
            served: Arc::default(),
            migrations: Migrations::default(),
            steps: verdicts.lifecycle.steps().clone(),
        })
    }

    /// The replica is ready once `step` has succeeded: a database answers, a migration is done, a cache is filled.
    ///
    /// Call it in the function that makes the routes. The steps run behind that function, in the order of their
    /// registration, as tasks of the I/O runtime, before the replica accepts. One that fails is retried with a growing
    /// pause of at most 1 s; each new reason is one line of the log, and `/startupz` lists the steps that are not done.
    /// If they are not all done within `lifecycle.start_timeout`, the program ends with code 1, and its last line says
    /// which step it waited for and why. A single try has no bound of its own.
    ///
    /// `server openapi` never runs a step: make pools that connect when they are first used, and ask them here.
    pub fn before_ready<F, E>(&self, name: &'static str, step: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.steps.add(name, step);
    }

    /// As [`before_ready`](Self::before_ready), for a step that knows failures which no wait cures, such as a schema that is too
    /// old: [`Failure::Last`] ends the start at once, with code 1 and its reason.
    pub fn before_ready_or_end<F>(&self, name: &'static str, step: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.steps.add_fallible(name, step);
    }

    /// The subcommand `migrate` runs `step`: it brings the schema of a database up to what this version of the service needs.
    /// No replica does.
    ///
    /// Call it in the function that makes the routes. The steps run one after the other, in the order of their registration;
    /// the first that fails ends the program with code 1. Several may run `migrate` at once: a step takes a lock in its
    /// database.
    pub fn on_migrate<F, E>(&self, name: &'static str, step: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.migrations.add(name, step);
    }

    /// Runs `task` in the background, once.
    ///
    /// It begins when the replica is ready, behind the steps of [`before_ready`](Self::before_ready); added later, as by a
    /// handler, at once, in a drain as well. It runs on the I/O runtime: it must not block.
    ///
    /// When the drain begins, its [`Drain`] says so. A task that takes work from elsewhere stops taking then
    /// ([`Drain::started`]); one that requests hand work to goes on until they have ended ([`Drain::requests_ended`]). The
    /// drain waits for it behind the requests, in the same `lifecycle.drain_timeout`. One that still runs then is cut
    /// off: a line names it, and the exit code is 1.
    ///
    /// Its end is counted in `tasks_ended_total`, an error or a panic is one line of the log, and the replica serves on.
    /// The name is a label of metrics: many tasks may share it. [`supervise`](Self::supervise) starts a task again.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(Drain) -> F + Send + 'static)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        self.tasks.once(name, task);
    }

    /// As [`spawn`](Self::spawn), and starts the task again by `restart`, after 1 s at first, and up to a minute where it
    /// keeps failing.
    pub fn supervise<F>(&self, name: &'static str, restart: Restart, task: impl Fn(Drain) -> F + Send + Sync + 'static)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        self.tasks.again(name, restart, task);
    }

    /// As [`spawn`](Self::spawn), and runs `task` with a pause of `period` (±10 %) between two runs. Runs never overlap, and
    /// one that fails does not end the next ones.
    ///
    /// The first begins within a period, at random, so that replicas that started together do not run it together. Each
    /// replica runs its own. In a drain no run begins, and the present one is awaited.
    pub fn every<F>(&self, name: &'static str, period: Duration, task: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        self.tasks.every(name, period, task);
    }

    /// Awaits `closing` at the end of the drain, when no request and no task runs any more: to close pools.
    ///
    /// Resources close in the reverse order of registration, each behind the one before, until `drain_timeout` has passed
    /// since the drain's delay, but for half of `lifecycle.flush_timeout` at least. One that fails or takes longer is a line
    /// of the log, and the exit code is 1. A replica that never got ready closes nothing.
    pub fn on_shutdown<F>(&self, name: &'static str, closing: F)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        self.tasks.close_with(name, closing);
    }

    /// A chassis without running parts, for an app's unit tests: its tasks and steps never run.
    ///
    /// # Panics
    /// Never: its metrics are the first of their registry.
    #[must_use]
    pub fn detached(identity: Identity) -> Self {
        let (registry, lifecycle) = (Registry::new(), Lifecycle::new(None));
        Self {
            checks: Checks::new(&registry).expect("the registry's first metrics"),
            tasks: Tasks::new(&registry, lifecycle.drain()).expect("the registry's first metrics"),
            registry,
            drain: lifecycle.drain(),
            steps: lifecycle.steps().clone(),
            propagation: Propagation::new(None).expect("the default propagators"),
            identity,
            served: Arc::default(),
            migrations: Migrations::default(),
        }
    }
}
