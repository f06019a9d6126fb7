//! The loop that claims jobs: as many as have a place, until the drain begins.
//!
//! Next: [`super::run`].

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Inner, hold::Held, queue, run};
use crate::lifecycle::Drain;

/// 2 s before a drain cuts off its tasks, jobs that still run are handed back: time for one statement of each, on a busy
/// machine. Half of a drain that is shorter than twice as long.
const HAND_BACK: Duration = Duration::from_secs(2);
/// 30 s: a database that was away for minutes is asked again within half of one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs jobs until the drain begins, and those in flight to their end, or to where they are handed back.
pub(super) async fn run(jobs: Arc<Inner>, drain: Drain) {
    let mut worker = Worker {
        held: Held::default(),
        running: JoinSet::new(),
        stop: CancellationToken::new(),
        failures: 0,
        jobs,
        drain,
    };
    let (held, jobs) = (worker.held.clone(), Arc::clone(&worker.jobs));
    tokio::select! {
        () = worker.work() => {}
        never = held.extend(&jobs) => match never {},
    }
}

struct Worker {
    jobs: Arc<Inner>,
    drain: Drain,
    held: Held,
    running: JoinSet<()>,
    /// Cancelled when the jobs that still run are handed back.
    stop: CancellationToken,
    /// Of claims, one after the other.
    failures: u32,
}

impl Worker {
    async fn work(&mut self) {
        let drain = self.drain.clone();
        let mut next = Instant::now();
        while !drain.is_draining() {
            while self.running.try_join_next().is_some() {}
            let free = self.free();
            if free > 0 && next <= Instant::now() {
                next = Instant::now() + self.claim(free).await;
                continue;
            }
            tokio::select! {
                biased;
                () = drain.started() => {}
                () = sleep_until(next), if free > 0 => {}
                Some(_) = self.running.join_next() => {}
            }
        }
        self.finish().await;
    }

    fn free(&self) -> usize {
        (self.jobs.settings.concurrency as usize).saturating_sub(self.running.len())
    }

    /// Claims up to `free` jobs and starts them; the pause before the next claim. It is awaited in a drain too: a claim that
    /// is dropped on its way would leave its jobs to their leases.
    async fn claim(&mut self, free: usize) -> Duration {
        let (kinds, lease) = (self.jobs.names(), self.jobs.settings.lease.get());
        let until = Instant::now() + lease;
        let claimed = match queue::claim(&self.jobs.database, &kinds, &self.jobs.name, free, lease).await {
            Ok(claimed) => claimed,
            Err(error) => return self.failed(&error),
        };
        self.failures = 0;
        let is_full = claimed.len() == free;
        for job in claimed {
            let hold = self.held.add(job.lease, until);
            let one =
                run::One { jobs: Arc::clone(&self.jobs), hold, drain: self.drain.clone(), stop: self.stop.clone() };
            self.running.spawn(one.run(job));
        }
        // As many as were asked for: there may be more, and the next claim waits for a place only.
        if is_full { Duration::ZERO } else { jittered(self.jobs.settings.poll.get()) }
    }

    fn failed(&mut self, error: &sqlx::Error) -> Duration {
        if self.failures == 0 {
            tracing::warn!(%error, "claiming jobs failed; it is tried again, and logged once");
        }
        self.failures = self.failures.saturating_add(1);
        let poll = self.jobs.settings.poll.get();
        jittered(poll.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_PAUSE.max(poll)))
    }

    /// Waits for the jobs in flight, and hands back what still runs shortly before the drain's deadline.
    async fn finish(&mut self) {
        let ended = async { while self.running.join_next().await.is_some() {} };
        let Some(deadline) = self.drain.deadline().map(Instant::from_std) else { return ended.await };
        let left = deadline.saturating_duration_since(Instant::now());
        if timeout_at(deadline - HAND_BACK.min(left / 2), ended).await.is_err() {
            tracing::info!(jobs = self.running.len(), "the drain ends soon; the jobs that still run are handed back");
            self.stop.cancel();
            while self.running.join_next().await.is_some() {}
        }
    }
}

/// ±25 %, so that replicas that started together do not ask together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * fastrand::f64())
}
