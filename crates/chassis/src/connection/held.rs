//! Limits the response bytes buffered for slow readers over all connections, since a response stays in memory until
//! its peer has read it.
//!
//! Only bytes above the first 64 KiB of a response count. At the limit the heaviest stalled response is reset: weight =
//! the bytes of its whole connection times the duration of the stall. A response that makes progress is not reset.
//!
//! A peer that never reads looks like a slow one at first. So responses share 4 MiB, or four times the largest, until
//! their readers have read on for a second, and only from then on the whole limit. One that takes less than a part of the
//! response in 3 s has stopped.
//!
//! Next: [`super::body`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use prometheus::{IntGauge, Registry};
use tokio::time::Instant;

use super::{state::State, streams::Stream};

/// 64 KiB of each response never count: the amount that a socket accepts at once.
const FREE: usize = 64 * 1024;
/// 100 ms without progress is a stall below 1.25 times the bound: several round trips.
const STALL: Duration = Duration::from_millis(100);
/// 1 s: from then on a longer stall weighs no more.
const LONG: Duration = Duration::from_secs(1);

/// 4 MiB: with a quarter as much again, and what the allocator keeps, readers that stop cost less than 20 MB.
const MOST_NEW: usize = 4 << 20;
/// 4: so many may begin at once, however large they are.
const FEW: usize = 4;
/// 1 s: what a socket takes at once is gone by then.
const NEW: Duration = Duration::from_secs(1);
/// 3 s: 64 KiB within that are 22 KB/s, and a socket shows no less (`UNSENT` in `listener`).
const READS_ON: Duration = Duration::from_secs(3);
/// 10 ms: a tenth of a stall, and few looks where thousands of parts come in a second.
const APART: Duration = Duration::from_millis(10);
/// A sixteenth of 4 MiB more than the last look left does not wait that long.
const MORE: usize = 16;

/// What all responses hold.
#[derive(Debug)]
pub(crate) struct Held {
    most: AtomicUsize,
    most_each: AtomicUsize,
    holders: Mutex<Vec<Weak<Holder>>>,
    total: AtomicUsize,
    /// A check is due when the grace period of recent stalls is over.
    looks_again: AtomicBool,
    /// When room was last looked for, and how much was left.
    looked: Mutex<Option<(Instant, usize)>>,
    gauge: IntGauge,
}

/// One response above its first 64 KiB.
#[derive(Debug)]
pub(super) struct Holder {
    held: Arc<Held>,
    state: Arc<State>,
    stream: Option<Arc<Stream>>,
    bytes: Mutex<usize>,
    begun: Instant,
    /// Milliseconds from `begun` until its reader last took a part.
    moved: AtomicUsize,
    is_reset: AtomicBool,
    /// The rest of a large part over HTTP/1, freed at once when the response is reset.
    rest: Mutex<Bytes>,
}

impl Held {
    /// At most `most` bytes in all, and `most_each` of one connection.
    pub(super) fn new(most: usize, most_each: usize) -> Arc<Self> {
        let help = "Response bytes buffered for slow readers, above the first 64 KiB of each response.";
        let gauge = IntGauge::new("http_server_response_waiting_bytes", help).expect("a valid metric");
        Arc::new(Self {
            most: AtomicUsize::new(most),
            most_each: AtomicUsize::new(most_each),
            holders: Mutex::default(),
            total: AtomicUsize::new(0),
            looks_again: AtomicBool::new(false),
            looked: Mutex::default(),
            gauge,
        })
    }

    #[cfg(test)]
    pub(crate) fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Other limits from now on; where more is held, the next response that grows makes room.
    pub(super) fn set(&self, most: usize, most_each: usize) {
        self.most.store(most, Relaxed);
        self.most_each.store(most_each, Relaxed);
        // What was looked at before fitted into other limits.
        *self.looked() = None;
    }

    pub(crate) fn register(&self, registry: &Registry) {
        registry.register(Box::new(self.gauge.clone())).expect("registered once");
    }

    /// Whether a response that holds `bytes` must be tracked.
    pub(super) fn counts(bytes: usize) -> bool {
        bytes > FREE
    }

    pub(super) fn begin(self: &Arc<Self>, state: &Arc<State>, stream: Option<&Arc<Stream>>) -> Arc<Holder> {
        let holder = Arc::new(Holder {
            held: Arc::clone(self),
            state: Arc::clone(state),
            stream: stream.cloned(),
            bytes: Mutex::new(0),
            begun: Instant::now(),
            moved: AtomicUsize::new(0),
            is_reset: AtomicBool::new(false),
            rest: Mutex::default(),
        });
        self.lock().push(Arc::downgrade(&holder));
        holder
    }

    /// Resets stalled responses until the rest fits. Recent stalls are checked again after their grace period, since
    /// no other event may trigger a check.
    fn make_room(self: &Arc<Self>, state: &Arc<State>) {
        let is_too_much = self.reset_most(state);
        *self.looked() = Some((Instant::now(), self.total.load(Relaxed)));
        if is_too_much && !self.looks_again.swap(true, Relaxed) {
            let (held, state) = (Arc::clone(self), Arc::clone(state));
            tokio::spawn(async move {
                tokio::time::sleep(STALL).await;
                held.looks_again.store(false, Relaxed);
                held.make_room(&state);
            });
        }
    }

    /// Whether there is still too much.
    fn reset_most(&self, state: &Arc<State>) -> bool {
        // Without a filter: a holder that is dropped by it, as the last to have it, waits for the lock that is held here.
        let mut all: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        all.retain(|one| !one.is_reset());
        let own = |one: &&Arc<Holder>| Arc::ptr_eq(&one.state, state);
        let mut others: Vec<_> = all.iter().filter(own).collect();
        if others.len() > 1 {
            reset_down_to(self.most_each.load(Relaxed), &mut others);
        }
        let now = Instant::now();
        let mut new: Vec<_> = all.iter().filter(|one| !one.reads_on(now)).collect();
        let largest = new.iter().map(|one| one.bytes()).max().unwrap_or_default();
        let most = self.most.load(Relaxed);
        let is_too_new = reset_down_to(self.most_new().max(FEW * largest).min(most), &mut new);
        let is_too_much = reset_down_to(most, &mut all.iter().filter(|one| !one.is_reset()).collect());
        is_too_new || is_too_much
    }

    /// Whether room must be looked for where responses hold `total`. A look locks them all: few are enough while they fit.
    fn is_due(&self, total: usize) -> bool {
        let least = self.most_new().min(self.most_each.load(Relaxed));
        if total <= least {
            return false;
        }
        let is_recent = |(at, left): (Instant, usize)| at.elapsed() < APART && total < left + least / MORE;
        total > self.most.load(Relaxed) || !self.looked().is_some_and(is_recent)
    }

    fn looked(&self) -> MutexGuard<'_, Option<(Instant, usize)>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn most_new(&self) -> usize {
        self.most.load(Relaxed).min(MOST_NEW)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Holder>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `holders` still hold more than `most`.
fn reset_down_to(most: usize, holders: &mut Vec<&Arc<Holder>>) -> bool {
    let mut total: usize = holders.iter().map(|holder| holder.bytes()).sum();
    while total > most {
        // At a quarter as much again, any wait is too long.
        let stall = if total > most.saturating_add(most / 4) { Duration::ZERO } else { STALL };
        let Some(victim) = heaviest(holders, stall) else { return true };
        total -= victim.bytes();
        victim.reset();
        holders.retain(|holder| !Arc::ptr_eq(holder, &victim));
    }
    false
}

fn heaviest(holders: &[&Arc<Holder>], stall: Duration) -> Option<Arc<Holder>> {
    let now = Instant::now();
    let of_connection = |state: &Arc<State>| -> u128 {
        let own = holders.iter().filter(|holder| Arc::ptr_eq(&holder.state, state));
        own.map(|holder| holder.bytes() as u128).sum()
    };
    let weight = |holder: &&&Arc<Holder>| {
        let stalled = holder.blocked_since().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (of_connection(&holder.state) * (stalled.min(LONG).as_millis() + 1), holder.bytes())
    };
    let is_stalled =
        |holder: &&&Arc<Holder>| holder.blocked_since().is_some_and(|since| since + stall <= now) && holder.bytes() > 0;
    holders.iter().filter(is_stalled).max_by_key(weight).map(|holder| Arc::clone(holder))
}

impl Holder {
    /// The response holds `alive` bytes now. If that is more than before, room is made for it.
    pub(super) fn set(&self, alive: usize) {
        // Free the memory of a reset response at once.
        let bytes = if self.is_reset() { 0 } else { alive.saturating_sub(FREE) };
        let before = std::mem::replace(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner), bytes);
        let held = &self.held;
        let total = held.total.fetch_add(bytes.wrapping_sub(before), Relaxed).wrapping_add(bytes.wrapping_sub(before));
        held.gauge.set(i64::try_from(total).unwrap_or(i64::MAX));
        if bytes > before && held.is_due(total) {
            held.make_room(&self.state);
        }
    }

    /// Its reader took a part.
    pub(super) fn moves(&self) {
        self.moved.store(usize::try_from(self.begun.elapsed().as_millis()).unwrap_or(usize::MAX), Relaxed);
    }

    /// Whether its reader has read on after the first second, and lately.
    fn reads_on(&self, now: Instant) -> bool {
        let moved = Duration::from_millis(self.moved.load(Relaxed) as u64);
        moved >= NEW && now.saturating_duration_since(self.begun + moved) < READS_ON
    }

    fn bytes(&self) -> usize {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_reset(&self) -> bool {
        self.is_reset.load(Relaxed)
    }

    pub(super) fn rest(&self) -> MutexGuard<'_, Bytes> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blocked_since(&self) -> Option<Instant> {
        match &self.stream {
            Some(stream) => stream.blocked_since(),
            None => self.state.blocked_since(),
        }
    }

    fn reset(&self) {
        self.is_reset.store(true, Relaxed);
        if let Some(stream) = &self.stream {
            stream.reset();
        } else {
            drop(std::mem::take(&mut *self.rest()));
            self.state.reset_for_memory();
        }
        self.set(0);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.set(0);
        self.held.lock().retain(|holder| holder.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests;
