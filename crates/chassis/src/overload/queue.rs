//! Requests that wait for a place, and their order.
//!
//! Critical requests are first, sheddable ones last. Among equals it is first come, first served, until the queue has
//! not been empty for a while: then those at its front have waited long and are likely to be abandoned soon, so the
//! newest is served first (Facebook's adaptive LIFO, with its shorter wait under pressure: B. Maurer, "Fail at Scale",
//! ACM Queue 13(8), 2015). Under pressure it is often empty, since waits are short; it is calm again once it has been
//! empty for a while as well.
//!
//! Next: [`super::window`].

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Class, Shed, permit::Slot};

/// How long the queue may be non-empty before the newest request is served first, in multiples of the queue's timeout.
const STANDING: u32 = 2;
/// How long it must be empty to be calm again, likewise. Longer than the lulls of an overload, such as when the limit
/// has grown, each of which would let some wait long for nothing; shorter than those of a load that can be served.
const CALM: u32 = 5;
/// The fraction of the queue's timeout that applies then: a late refusal is no better than a late response.
const HURRY: u32 = 5;

/// The result for a waiting request: its place, and since when it has it.
pub(super) type Verdict = Result<(Slot, Instant), Shed>;

/// A bounded number of waiting requests.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: [VecDeque<Waiter>; Class::COUNT],
    /// Since when it has not been empty, or only briefly under pressure.
    standing: Option<Instant>,
    /// Since when it is empty, where it is.
    emptied: Option<Instant>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    verdict: oneshot::Sender<Verdict>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Whether it has been non-empty for long, and not empty for long since.
    pub(super) fn is_pressed(&self, now: Instant, timeout: Duration) -> bool {
        let lasts = |since: Instant, to: Instant, times: u32| to.saturating_duration_since(since) >= timeout * times;
        self.standing.is_some_and(|since| lasts(since, self.emptied.unwrap_or(now), STANDING))
            && !self.emptied.is_some_and(|at| lasts(at, now, CALM))
    }

    /// How long a new request may wait. Critical ones always get the whole timeout.
    pub(super) fn patience(&self, class: Class, now: Instant, timeout: Duration) -> Duration {
        if class != Class::Critical && self.is_pressed(now, timeout) { timeout / HURRY } else { timeout }
    }

    /// Adds a waiter and returns its ticket. In a full queue it displaces a less important one, or,
    /// under pressure, the oldest of its own class, which has little chance of an answer in time.
    pub(super) fn enter(
        &mut self,
        class: Class,
        verdict: oneshot::Sender<Verdict>,
        length: usize,
        now: Instant,
        timeout: Duration,
    ) -> Result<u64, Shed> {
        if self.len() >= length && class != Class::Returning {
            self.displace(class, now, timeout)?;
        }
        if !self.is_pressed(now, timeout) && self.emptied.is_some() {
            self.standing = None;
        }
        self.standing.get_or_insert(now);
        self.emptied = None;
        self.next += 1;
        self.waiting[class as usize].push_back(Waiter { ticket: self.next, verdict });
        Ok(self.next)
    }

    fn displace(&mut self, class: Class, now: Instant, timeout: Duration) -> Result<(), Shed> {
        let pressed = self.is_pressed(now, timeout);
        let is_there = |lower: &Class| *lower < class && !self.waiting[*lower as usize].is_empty();
        let lower = [Class::Sheddable, Class::Normal].into_iter().find(is_there);
        let from = lower.or((pressed && class != Class::Sheddable).then_some(class)).ok_or(Shed::QueueFull)?;
        let oldest = self.waiting[from as usize].pop_front().ok_or(Shed::QueueFull)?;
        // The receiver exists: a waiter that gives up leaves the queue first.
        let _ = oldest.verdict.send(Err(Shed::Displaced));
        Ok(())
    }

    /// The class of the next waiter.
    pub(super) fn first(&self) -> Option<Class> {
        Class::DESCENDING.into_iter().find(|class| !self.waiting[*class as usize].is_empty())
    }

    /// Removes the next of `class`.
    pub(super) fn take(&mut self, class: Class, now: Instant, timeout: Duration) -> Option<oneshot::Sender<Verdict>> {
        let pressed = self.is_pressed(now, timeout);
        let waiting = &mut self.waiting[class as usize];
        // Returning requests are served in order.
        let newest = pressed && class != Class::Returning;
        let next = if newest { waiting.pop_back() } else { waiting.pop_front() };
        self.note_empty(now);
        next.map(|waiter| waiter.verdict)
    }

    /// Removes a waiter that gave up. Returns whether it was still there.
    pub(super) fn leave(&mut self, class: Class, ticket: u64, now: Instant) -> bool {
        let waiting = &mut self.waiting[class as usize];
        // Tickets ascend, even if some were removed.
        let at = waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        let found = at.is_ok_and(|at| waiting.remove(at).is_some());
        self.note_empty(now);
        found
    }

    fn note_empty(&mut self, now: Instant) {
        if self.len() == 0 {
            self.emptied.get_or_insert(now);
        }
    }
}
