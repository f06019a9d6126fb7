//! The leases that this replica holds, and what extends them.
//!
//! A lease ends here no later than in Postgres: it counts from before the statement was sent. A handler whose lease cannot
//! be extended is dropped when it ends, so that it does not run beside the next attempt.
//!
//! Next: [`super::upkeep`].

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Inner,
    queue::{self, Lease},
};

/// Each lease with what says until when it is held, by the jobs' numbers.
type Leases = HashMap<i64, (Lease, watch::Sender<Instant>)>;

#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<Leases>>);

/// One lease; it is extended until this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    held: Held,
    lease: Lease,
    until: watch::Receiver<Instant>,
}

impl Held {
    pub(super) fn add(&self, lease: Lease, until: Instant) -> Hold {
        let (sender, receiver) = watch::channel(until);
        self.lock().insert(lease.id, (lease, sender));
        Hold { held: self.clone(), lease, until: receiver }
    }

    fn leases(&self) -> Vec<Lease> {
        self.lock().values().map(|(lease, _)| *lease).collect()
    }

    fn extended(&self, ids: &[i64], until: Instant) {
        let held = self.lock();
        for (_, sender) in ids.iter().filter_map(|id| held.get(id)) {
            sender.send_replace(until);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Extends all of them three times in the course of a lease, so that one statement may fail.
    pub(super) async fn extend(&self, jobs: &Inner) -> Infallible {
        let lease = jobs.settings.lease.get();
        let mut pause = lease / 3;
        loop {
            sleep(pause).await;
            pause = if self.extend_once(jobs, lease).await { lease / 3 } else { lease / 10 };
        }
    }

    async fn extend_once(&self, jobs: &Inner, lease: Duration) -> bool {
        let leases = self.leases();
        if leases.is_empty() {
            return true;
        }
        let until = Instant::now() + lease;
        let reason = match timeout(lease / 3, queue::extend(&jobs.database, &leases, lease)).await {
            Ok(Ok(ids)) => {
                self.extended(&ids, until);
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer from the database".to_owned(),
        };
        tracing::warn!(jobs = leases.len(), error = reason, "extending the leases of jobs failed");
        false
    }
}

impl Hold {
    /// When the lease ends, as far as is known now.
    pub(super) fn until(&self) -> Instant {
        *self.until.borrow()
    }

    /// Resolves when the lease has ended.
    pub(super) async fn ended(&self) {
        while self.until() > Instant::now() {
            sleep_until(self.until()).await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        // This replica may have claimed the job again meanwhile: that lease stays.
        if held.get(&self.lease.id).is_some_and(|(lease, _)| *lease == self.lease) {
            held.remove(&self.lease.id);
        }
    }
}
