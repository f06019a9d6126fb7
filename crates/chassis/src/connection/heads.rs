//! Limits the bytes of incomplete request heads over all connections, since they stay in memory until the head is complete
//! or its time is up: of HTTP/1, FastCGI and uwsgi, of HTTP/2 with any other frame that is half here, and of a TLS
//! handshake.
//!
//! Only bytes above the first 8 KiB of a head count; over HTTP/2 all of them, above 1 KiB. At the limit such heads are not read
//! on, and the oldest head of the address with the most bytes ends with its connection (over HTTP/1 with 408), as often as
//! needed. Then the others are read on.
//!
//! Next: [`super::drive`], where the chosen connection ends.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    registry::{Connections, Entry},
    state::{Phase, State},
    yielding::{ON_ITS_WAY, SHARED, took},
};

/// 8 KiB of each head never count: hyper's buffer is that large before the first byte comes.
pub(super) const FREE: usize = 8 * 1024;
/// 1 KiB, more than most header blocks have: above it all that is half here over HTTP/2 counts, as h2's buffer, which never
/// counts, has it once more.
const SMALL: usize = 1024;
/// 64 heads of the largest size, above what never counts: few heads are longer than that, and for a moment.
const LARGEST: usize = 64;
/// 5 ms: a head that waits for others to end waits little longer than they may be in transit.
const AGAIN: Duration = Duration::from_millis(5);

/// How many bytes all incomplete heads may hold where each may have `max_head`.
pub(crate) const fn most(max_head: usize) -> usize {
    LARGEST * max_head
}

/// What all incomplete heads hold.
#[derive(Debug)]
pub(super) struct Heads {
    most: usize,
    total: AtomicUsize,
    /// A scan is under way.
    looks: AtomicBool,
    /// A head waits since the scan last woke them.
    waiting: AtomicBool,
}

impl Heads {
    pub(super) fn new(most: usize) -> Self {
        Self { most, total: AtomicUsize::new(0), looks: AtomicBool::new(false), waiting: AtomicBool::new(false) }
    }

    fn is_over(&self) -> bool {
        self.total.load(SeqCst) > self.most
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        self.total.load(SeqCst)
    }

    /// Whether it is over now.
    fn add(&self, bytes: usize) -> bool {
        self.total.fetch_add(bytes, SeqCst).wrapping_add(bytes) > self.most
    }
}

/// The present head of a connection.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: AtomicUsize,
    /// The head that must end to free its memory: the milliseconds from `opened` to its start, plus one. It may be complete
    /// by now, and the present one another.
    ends: AtomicU64,
    /// It is not read on until others have ended.
    waits: AtomicBool,
}

impl State {
    /// The first bytes of a head came in.
    pub(super) fn begin_head(&self, bytes: usize) {
        self.head.bytes.store(bytes, Relaxed);
        self.enter(Phase::Head);
    }

    /// The head that began at `since` must end.
    fn end_head(&self, since: Instant) {
        let since = since.saturating_duration_since(self.opened).as_millis();
        self.head.ends.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Relaxed);
    }

    pub(super) fn head_must_end(&self) -> bool {
        let since = self.head.ends.load(Relaxed).checked_sub(1);
        since.is_some_and(|since| Some(self.opened + Duration::from_millis(since)) == self.head_since())
    }

    /// Since when the rest of the present head is missing; silent connections may be in a handshake.
    fn head_since(&self) -> Option<Instant> {
        match self.phase() {
            _ if self.is_multiplexed() => self.half_since(),
            Phase::Head | Phase::Silent => Some(self.since()),
            _ => None,
        }
    }
}

impl Head {
    /// More of it. Only the connection's own task calls it.
    pub(super) fn grow(&self, bytes: usize) {
        self.bytes.store(self.bytes.load(Relaxed).saturating_add(bytes), Relaxed);
    }

    /// So many bytes of it are here.
    fn set(&self, bytes: usize) {
        self.bytes.store(bytes, Relaxed);
    }

    fn counted(&self) -> usize {
        self.bytes.load(Relaxed).saturating_sub(FREE)
    }
}

impl Entry {
    /// Bytes came in: maybe of a head.
    pub(crate) fn received(&self, bytes: usize) {
        self.count_head(|| self.state.received(bytes));
    }

    /// HTTP/2: so many bytes of a header block, or of another frame but DATA, wait for their rest.
    pub(super) fn holds(&self, bytes: usize) {
        self.count_head(|| self.state.head.set(if bytes > SMALL { FREE + bytes } else { 0 }));
    }

    /// Bytes of a TLS handshake came in.
    #[cfg_attr(not(any(test, feature = "tls")), expect(dead_code, reason = "the door https"))]
    pub(crate) fn shakes(&self, bytes: usize) {
        self.count_head(|| self.state.head.grow(bytes));
    }

    fn count_head(&self, change: impl FnOnce()) {
        let head = &self.state.head;
        let before = head.counted();
        change();
        let now = head.counted();
        if now != before {
            let heads = &self.connections.heads;
            if heads.add(now.wrapping_sub(before)) && !heads.looks.swap(true, SeqCst) {
                self.connections.spawn(Arc::clone(&self.connections).end_heads());
            }
        }
    }

    /// Whether the rest of a head must wait for room. Its driver is woken then.
    pub(crate) fn head_waits(&self) -> bool {
        let (head, heads) = (&self.state.head, &self.connections.heads);
        if head.counted() == 0 || !heads.is_over() || self.state.head_since().is_none() {
            return false;
        }
        head.waits.store(true, SeqCst);
        // Before the second look: a scan that this look is too late for sees it, and wakes once more.
        heads.waiting.store(true, SeqCst);
        heads.is_over()
    }

    /// A request's head is complete. Returns which request of this connection it is, from 1.
    pub(crate) fn begin_request(&self) -> u64 {
        // Of HTTP/2 what counts is of a later one.
        if !self.state.is_multiplexed() {
            self.forget_head();
        }
        self.state.begin_request()
    }

    /// The head is complete, or its memory is free.
    pub(crate) fn forget_head(&self) {
        let head = &self.state.head;
        let counted = head.counted();
        if counted > 0 {
            head.bytes.store(0, Relaxed);
            self.connections.heads.total.fetch_sub(counted, SeqCst);
        }
    }
}

/// A head that holds bytes that count, and since when.
type Candidate<'a> = (Instant, usize, &'a Arc<State>);

impl Connections {
    /// Ends heads until the rest fits, and lets the rest go on.
    async fn end_heads(self: Arc<Self>) {
        loop {
            while self.heads.is_over() {
                let begun = Instant::now();
                for (since, state) in self.choose_heads() {
                    state.end_head(since);
                    state.wake();
                }
                // A tenth of a processor at most.
                sleep(AGAIN.max(10 * took(begun, self.count()))).await;
            }
            self.heads.waiting.store(false, SeqCst);
            self.lock().values().filter(|state| state.head.waits.swap(false, SeqCst)).for_each(|state| state.wake());
            self.heads.looks.store(false, SeqCst);
            // Those that came in or waited meanwhile found a scan under way.
            let is_done = !self.heads.is_over() && !self.heads.waiting.load(SeqCst);
            if is_done || self.heads.looks.swap(true, SeqCst) {
                return;
            }
        }
    }

    fn choose_heads(&self) -> Vec<(Instant, Arc<State>)> {
        let open = self.lock();
        // A trusted peer forwards for many clients: each of its connections is counted by itself.
        let group = |id: &u64, state: &State| (state.group(), if state.group() == SHARED { *id } else { 0 });
        let mut groups: HashMap<(u64, u64), Vec<Candidate<'_>>> = HashMap::new();
        for (id, state) in open.iter() {
            let counted = state.head.counted();
            if counted > 0
                && !state.head_must_end()
                && let Some(since) = state.head_since()
            {
                groups.entry(group(id, state)).or_default().push((since, counted, state));
            }
        }
        choose(self.heads.most, groups.into_values().collect())
    }
}

/// Repeatedly the oldest of the group with the most bytes, until the rest is at most `most`.
fn choose(most: usize, mut groups: Vec<Vec<Candidate<'_>>>) -> Vec<(Instant, Arc<State>)> {
    let now = Instant::now();
    // The next one is last.
    for all in &mut groups {
        all.sort_unstable_by_key(|(since, ..)| Reverse(*since));
    }
    let weight = |all: &[Candidate<'_>]| all.iter().map(|(_, bytes, _)| bytes).sum::<usize>();
    let mut total: usize = groups.iter().map(|all| weight(all)).sum();
    let place = |at: usize, all: &[Candidate<'_>], held: usize| Some((held, Reverse(all.last()?.0), at));
    let mut heap: BinaryHeap<_> =
        groups.iter().enumerate().filter_map(|(at, all)| place(at, all, weight(all))).collect();
    let mut chosen = Vec::new();
    while total > most {
        let Some((held, _, at)) = heap.pop() else { break };
        let Some((since, bytes, state)) = groups[at].pop() else { continue };
        // The rest of it is probably in transit.
        if now.saturating_duration_since(since) < ON_ITS_WAY {
            continue;
        }
        total -= bytes;
        chosen.push((since, Arc::clone(state)));
        heap.extend(place(at, &groups[at], held - bytes));
    }
    chosen
}

#[cfg(test)]
mod tests;
