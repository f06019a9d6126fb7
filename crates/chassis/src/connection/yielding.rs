//! Which connection makes room for a new one at the connection limit.
//!
//! First those that wait for their peer: incomplete heads, silent peers, stalled bodies. Then idle ones, and heads
//! that have only just begun. Last, inactive upgraded ones. Each time the address with the most of them
//! loses its oldest, so a client with many connections loses its own. A request that makes progress is never chosen.
//!
//! Finding one requires a scan of all connections. So one scan ranks many for the next accepts; each is
//! checked again before it is asked.
//!
//! Next: [`super::drive`], where the chosen connection reacts.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use ipnet::IpNet;
use tokio::time::Instant;

use super::{
    drive::HEAD_GRACE,
    state::{Phase, State},
};

/// 50 ms: a head or a part of a body in transit within a region has arrived by then.
pub(super) const ON_ITS_WAY: Duration = Duration::from_millis(50);
/// 1 s: a packet that was lost has been sent again by then.
const STALLED: Duration = Duration::from_secs(1);
/// 2 s: an exchange that pauses for longer can be restarted.
const LATELY: Duration = Duration::from_secs(2);
/// 256: a scan costs about 50 ns per connection, and serves that many accepts.
const RANKED: usize = 256;
/// 1 µs per connection: on any machine a scan is faster, so what took longer was other work.
const SLOWEST: Duration = Duration::from_micros(1);
/// 100 ms: the ranking may be outdated after that.
const FRESH: Duration = Duration::from_millis(100);

/// The address of connections that are not counted together.
pub(super) const SHARED: u64 = u64::MAX;

impl State {
    pub(super) fn group(&self) -> u64 {
        self.group.load(Relaxed)
    }

    pub(super) fn set_group(&self, group: u64) {
        self.group.store(group, Relaxed);
    }
}

/// The rules for choosing connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Connections of these are not grouped by address: they forward for many clients.
    pub(crate) shared: Vec<IpNet>,
    /// No connection may occupy a slot for long: stalled bodies and slow readers are chosen early.
    pub(crate) eager: bool,
    /// How many bytes all incomplete heads may hold.
    pub(crate) heads: usize,
}

impl Rules {
    /// The group of `peer`: an IPv4 address, an IPv6 /64, or the ungrouped ones.
    pub(super) fn group(&self, peer: IpAddr) -> u64 {
        let peer = peer.to_canonical();
        if self.shared.iter().any(|net| net.contains(&peer)) {
            return SHARED;
        }
        match peer {
            // In the multicast range, which is never a source address.
            IpAddr::V4(v4) => 0xffff_ffff_0000_0000 | u64::from(v4.to_bits()),
            IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).expect("the upper half"),
        }
    }
}

/// In the order in which those of one address are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It has waited for its peer.
    Waiting,
    Idle,
    /// It started to wait for its peer a moment ago.
    Young,
    /// Upgraded, and inactive.
    Upgraded,
}

impl Rank {
    /// Which are asked first, regardless of address. A recent head ranks with the idle ones: an
    /// address that opens many must not push out the few idle connections of others.
    const fn tier(self) -> usize {
        match self {
            Self::Waiting => 0,
            Self::Idle | Self::Young => 1,
            Self::Upgraded => 2,
        }
    }
}

/// The rank of `state` among those that could make room, and since when; none if it keeps its slot.
fn standing(state: &State, now: Instant, eager: bool) -> Option<(Rank, Instant)> {
    if state.is_asked_to_yield() || state.is_without_place() {
        return None;
    }
    if state.is_lingering() {
        return Some((Rank::Waiting, state.since()));
    }
    if state.closing().is_some() {
        return None;
    }
    let (since, patience, early) = match (state.phase(), state.blocked_since()) {
        (Phase::Upgraded, _) => {
            let moved = state.moved();
            return (moved + LATELY <= now).then_some((Rank::Upgraded, moved));
        }
        (_, Some(blocked)) if eager => (blocked, STALLED, true),
        (_, Some(_)) => return None,
        (Phase::Silent | Phase::Head, None) => (state.since(), HEAD_GRACE, true),
        (Phase::Busy, None) => (state.stalled_since()?, STALLED, eager),
        (Phase::Idle, None) => return Some((Rank::Idle, state.since())),
    };
    let waited = now.saturating_duration_since(since);
    if waited >= patience {
        return Some((Rank::Waiting, since));
    }
    (early && waited >= ON_ITS_WAY).then_some((Rank::Young, since))
}

/// Whether its head, or its first byte, is probably in transit.
fn is_on_its_way(state: &State, now: Instant) -> bool {
    matches!(state.phase(), Phase::Silent | Phase::Head) && now.saturating_duration_since(state.since()) < ON_ITS_WAY
}

/// A rank, and since when.
type Candidate<'a> = (Rank, Instant, &'a Arc<State>);
/// Those of a tier, by their addresses.
type Groups<'a> = HashMap<u64, Vec<Candidate<'a>>>;

/// How long a scan of `count` connections took since `begun`. A busy machine may have run others meanwhile, which is no
/// reason to wait ten times as long for the next scan.
pub(super) fn took(begun: Instant, count: usize) -> Duration {
    begun.elapsed().min(SLOWEST * u32::try_from(count).unwrap_or(u32::MAX))
}

/// The next candidates.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    queue: VecDeque<(Rank, Instant, Arc<State>)>,
    /// When the last scan began, and how long it took.
    looked: Option<(Instant, Duration)>,
}

impl Ranked {
    /// The next one whose rank is still valid.
    pub(super) fn take(&mut self, eager: bool) -> Option<Arc<State>> {
        let now = Instant::now();
        if self.looked.is_none_or(|(at, _)| at + FRESH < now) {
            self.queue.clear();
        }
        while let Some((rank, since, state)) = self.queue.pop_front() {
            if standing(&state, now, eager) == Some((rank, since)) {
                return Some(state);
            }
        }
        None
    }

    /// Whether another scan is allowed: scans may take a tenth of a processor.
    pub(super) fn may_look(&self) -> bool {
        self.looked.is_none_or(|(at, took)| at + took * 10 <= Instant::now())
    }

    /// Ranks `open`.
    pub(super) fn look<'a>(&mut self, open: impl Iterator<Item = &'a Arc<State>>, eager: bool) {
        let begun = Instant::now();
        let mut tiers: [Groups<'_>; 3] = Default::default();
        let mut coming: HashMap<u64, usize> = HashMap::new();
        let mut count = 0;
        for state in open {
            count += 1;
            if let Some((rank, since)) = standing(state, begun, eager) {
                tiers[rank.tier()].entry(state.group()).or_default().push((rank, since, state));
            } else if state.group() != SHARED && is_on_its_way(state, begun) {
                *coming.entry(state.group()).or_default() += 1;
            }
        }
        self.queue.clear();
        let [waiting, mut idle, upgraded] = tiers;
        self.rank(waiting);
        // Wait for a client that opens many at once: its own are candidates soon. Others keep theirs until then.
        let most = coming.values().copied().max().unwrap_or_default();
        let fresh = |group: &u64| coming.get(group).copied().unwrap_or_default();
        idle.retain(|group, all| *group == SHARED || all.len() + fresh(group) >= most);
        self.rank(idle);
        self.rank(upgraded);
        self.looked = Some((begun, took(begun, count)));
    }

    /// Repeatedly takes the oldest of the address with the most.
    fn rank(&mut self, mut groups: Groups<'_>) {
        for all in groups.values_mut() {
            // The next one is last.
            all.sort_unstable_by_key(|(rank, since, _)| Reverse((*rank, *since)));
        }
        let place = |group: u64, all: &Vec<Candidate<'_>>| {
            let (rank, since, _) = all.last()?;
            let count = if group == SHARED { 1 } else { all.len() };
            Some((count, Reverse((*rank, *since)), group))
        };
        let mut heap: BinaryHeap<_> = groups.iter().filter_map(|(group, all)| place(*group, all)).collect();
        while self.queue.len() < RANKED {
            let Some((_, _, group)) = heap.pop() else { return };
            let all = groups.get_mut(&group).expect("a group of the heap");
            if let Some((rank, since, state)) = all.pop() {
                self.queue.push_back((rank, since, Arc::clone(state)));
            }
            heap.extend(place(group, all));
        }
    }
}

#[cfg(test)]
mod tests;
