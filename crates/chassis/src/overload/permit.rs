//! A place in flight, and the loan of it while a request waits for its client.
//!
//! Waiting for body bytes is the client's time. A request that waits for them lends its place to
//! other requests, and takes one again when they arrive. The wait counts neither as latency nor as in
//! flight: slow senders say nothing about the speed of the service, and occupy none of its places.
//!
//! Next: [`super::queue`].

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::limiter::{Limiter, now};

/// One in flight; released on drop.
#[derive(Debug)]
pub(super) struct Slot(Arc<Limiter>);

impl Slot {
    pub(super) fn new(limiter: Arc<Limiter>) -> Self {
        Self(limiter)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A request's place, until its work ends. If it is dropped earlier, the work was cancelled: at its deadline, which counts as
/// a latency, or because the client disconnected, which does not count.
#[derive(Debug)]
pub(crate) struct AdmissionPermit {
    /// None once its end was counted.
    held: Option<Held>,
    admitted: Instant,
    deadline: Option<Instant>,
    /// Whether its end counts as a latency; never if admission is not limited.
    counts: bool,
}

#[derive(Debug)]
enum Held {
    Slot(Slot),
    Loan(Loan),
}

/// The rest of a place when its work ends.
struct Ended {
    limiter: Arc<Limiter>,
    /// How long it waited for its client; none if it still waits.
    waited: Option<Duration>,
    _slot: Option<Slot>,
}

impl AdmissionPermit {
    pub(super) fn new(slot: Slot, admitted: Instant, deadline: Option<Instant>, counts: bool) -> Self {
        Self { held: Some(Held::Slot(slot)), admitted, deadline, counts }
    }

    /// Puts the place into `loan`, from which the request's body may lend it.
    pub(crate) fn lendable(mut self, loan: &Loan) -> Self {
        if let Some(Held::Slot(slot)) = self.held.take() {
            loan.lock().state = State::Held(slot);
            self.held = Some(Held::Loan(loan.clone()));
        }
        self
    }

    /// The work ended at `now` with `status`. Errors do not count as latency, except for timeouts.
    pub(crate) fn end(mut self, now: Instant, status: StatusCode) {
        let timed_out = status == StatusCode::GATEWAY_TIMEOUT;
        self.counts &= status.as_u16() < 400 || timed_out;
        self.leave(now, timed_out);
    }

    fn leave(&mut self, now: Instant, timed_out: bool) {
        // Counted before its place is free.
        match self.held.take() {
            Some(Held::Slot(slot)) if self.counts => slot.0.ended(self.admitted, now, timed_out),
            Some(Held::Loan(loan)) => {
                let Some(ended) = loan.end() else { return };
                if let (true, Some(waited)) = (self.counts, ended.waited) {
                    ended.limiter.ended(self.admitted + waited, now, timed_out);
                }
            }
            Some(Held::Slot(_)) | None => {}
        }
    }
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        if self.held.is_some() {
            let now = now();
            self.counts &= self.deadline.is_some_and(|deadline| deadline <= now);
            self.leave(now, true);
        }
    }
}

/// The place of a request that has a body, shared with that body; a cheap handle. Empty until it is admitted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loan(Arc<Mutex<Lending>>);

#[derive(Debug, Default)]
struct Lending {
    state: State,
    /// For how long it was lent so far.
    waited: Duration,
    /// The body was dropped while the request waited for it.
    is_cut_short: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Not admitted, or the work has ended.
    #[default]
    Empty,
    Held(Slot),
    Lent {
        limiter: Arc<Limiter>,
        since: Instant,
    },
}

/// A place that is being returned.
pub(crate) type Coming = Pin<Box<dyn Future<Output = Returned> + Send>>;

/// How a place comes back.
pub(crate) enum Return {
    /// It is available, or none is needed.
    Here,
    /// All are taken: it is available when this resolves.
    Later(Coming),
}

/// A place for one that lent its own.
pub(crate) struct Returned(Slot);

impl Loan {
    /// The body waits for its client: another request may have the place.
    pub(crate) fn lend(&self) {
        let slot = {
            let mut lending = self.lock();
            match mem::take(&mut lending.state) {
                State::Held(slot) => {
                    lending.state = State::Lent { limiter: Arc::clone(&slot.0), since: now() };
                    Some(slot)
                }
                state => {
                    lending.state = state;
                    None
                }
            }
        };
        // The next owner may run on this thread: only after the lock.
        drop(slot);
    }

    /// More of the body has arrived: the request needs a place again.
    pub(crate) fn return_now(&self) -> Return {
        let Some(limiter) = self.lender() else { return Return::Here };
        match limiter.try_return() {
            Some(slot) => {
                self.put_back(Returned(slot));
                Return::Here
            }
            None => Return::Later(Box::pin(async move { Returned(limiter.return_to().await) })),
        }
    }

    /// Takes a place that came later.
    pub(crate) fn put_back(&self, Returned(slot): Returned) {
        let unwanted = {
            let mut lending = self.lock();
            match lending.state {
                State::Lent { since, .. } => {
                    lending.waited += now().saturating_duration_since(since);
                    lending.state = State::Held(slot);
                    None
                }
                // The work has ended meanwhile.
                State::Empty | State::Held(_) => Some(slot),
            }
        };
        drop(unwanted);
    }

    /// The body was dropped while the request waited for it: the handler is already working again.
    pub(crate) fn force(&self) {
        let Some(limiter) = self.lender() else { return };
        self.lock().is_cut_short = true;
        self.put_back(Returned(limiter.force()));
    }

    fn lender(&self) -> Option<Arc<Limiter>> {
        match &self.lock().state {
            State::Lent { limiter, .. } => Some(Arc::clone(limiter)),
            State::Empty | State::Held(_) => None,
        }
    }

    fn end(&self) -> Option<Ended> {
        let mut lending = self.lock();
        match mem::take(&mut lending.state) {
            State::Held(slot) => {
                let waited = (!lending.is_cut_short).then_some(lending.waited);
                Some(Ended { limiter: Arc::clone(&slot.0), waited, _slot: Some(slot) })
            }
            State::Lent { limiter, .. } => Some(Ended { limiter, waited: None, _slot: None }),
            State::Empty => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lending> {
        self.0.lock().expect("a place")
    }
}
