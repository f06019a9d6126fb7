//! Which connection makes room for a new one at the cap.
//!
//! First those whose peer keeps them waiting: half-sent heads, silent peers, stalled bodies. Then idle ones, and heads
//! that have only just begun. Last upgraded ones on which nothing moves. Each time the address with the most of them
//! gives its oldest, so that who opens many connections pays for them. A request that makes progress is never chosen.
//!
//! Finding one means a look at every connection. So a look ranks many, and the next accepts take from them; each is
//! looked at again before it is asked.
//!
//! Next: [`super::drive`], where the chosen connection obeys.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use tokio::time::Instant;

use super::{
    drive::HEAD_GRACE,
    state::{Phase, State},
};

/// 50 ms: a head, or a part of a body, that is on its way within a region has come by then.
pub(super) const ON_ITS_WAY: Duration = Duration::from_millis(50);
/// 1 s: a packet that was lost has been sent again by then.
const STALLED: Duration = Duration::from_secs(1);
/// 2 s: a conversation that pauses for longer can be begun anew.
const LATELY: Duration = Duration::from_secs(2);
/// 256: a look costs some 50 ns a connection, and serves as many accepts.
const RANKED: usize = 256;
/// 100 ms: who was idle or had the most then may not be any more.
const FRESH: Duration = Duration::from_millis(100);

/// The address of connections that are not counted together.
pub(super) const SHARED: u64 = u64::MAX;

/// Which connections are asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Connections of these are not counted as those of one peer: they forward for many.
    pub(crate) shared: Vec<IpNet>,
    /// Nobody may keep a place for longer than a moment: stalled bodies are chosen early, and so are slow readers.
    pub(crate) eager: bool,
}

impl Rules {
    /// What `peer` counts as: an address of IPv4, a /64 of IPv6, or nobody in particular.
    pub(super) fn group(&self, peer: IpAddr) -> u64 {
        let peer = peer.to_canonical();
        if self.shared.iter().any(|net| net.contains(&peer)) {
            return SHARED;
        }
        match peer {
            // Among the prefixes of multicast, from which nobody connects.
            IpAddr::V4(v4) => 0xffff_ffff_0000_0000 | u64::from(v4.to_bits()),
            IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).expect("the upper half"),
        }
    }
}

/// In the order in which those of one address are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Its peer has kept it waiting.
    Waiting,
    Idle,
    /// Its peer keeps it waiting since a moment ago.
    Young,
    /// Upgraded, and nothing moved lately.
    Upgraded,
}

impl Rank {
    /// Who is asked before the other's turn, whatever their addresses. A young head stands with the idle ones: an
    /// address that opens many must not push out the few idle connections of others.
    const fn tier(self) -> usize {
        match self {
            Self::Waiting => 0,
            Self::Idle | Self::Young => 1,
            Self::Upgraded => 2,
        }
    }
}

/// How `state` stands among those that could make room, and since when; none where it keeps its place.
fn standing(state: &State, now: Instant, eager: bool) -> Option<(Rank, Instant)> {
    if state.is_asked_to_yield() {
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

/// Whether its head, or the first byte of it, is likely on its way.
fn is_on_its_way(state: &State, now: Instant) -> bool {
    matches!(state.phase(), Phase::Silent | Phase::Head) && now.saturating_duration_since(state.since()) < ON_ITS_WAY
}

/// How one stands, and since when.
type Candidate<'a> = (Rank, Instant, &'a Arc<State>);
/// Those of a tier, by their addresses.
type Groups<'a> = HashMap<u64, Vec<Candidate<'a>>>;

/// Those that are asked next.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    queue: VecDeque<(Rank, Instant, Arc<State>)>,
    /// When the last look began, and how long it took.
    looked: Option<(Instant, Duration)>,
}

impl Ranked {
    /// The next one; it still stands as it stood.
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

    /// Whether it is time for another look: they may take a tenth of a processor.
    pub(super) fn may_look(&self) -> bool {
        self.looked.is_none_or(|(at, took)| at + took * 10 <= Instant::now())
    }

    /// Ranks `open`.
    pub(super) fn look<'a>(&mut self, open: impl Iterator<Item = &'a Arc<State>>, eager: bool) {
        let begun = Instant::now();
        let mut tiers: [Groups<'_>; 3] = Default::default();
        let mut coming: HashMap<u64, usize> = HashMap::new();
        for state in open {
            if let Some((rank, since)) = standing(state, begun, eager) {
                tiers[rank.tier()].entry(state.group()).or_default().push((rank, since, state));
            } else if state.group() != SHARED && is_on_its_way(state, begun) {
                *coming.entry(state.group()).or_default() += 1;
            }
        }
        self.queue.clear();
        let [waiting, mut idle, upgraded] = tiers;
        self.rank(waiting);
        // Who opens many at a time is waited for: a moment later its own stand here. Others keep theirs until then.
        let most = coming.values().copied().max().unwrap_or_default();
        let fresh = |group: &u64| coming.get(group).copied().unwrap_or_default();
        idle.retain(|group, all| *group == SHARED || all.len() + fresh(group) >= most);
        self.rank(idle);
        self.rank(upgraded);
        self.looked = Some((begun, begun.elapsed()));
    }

    /// Time and again the oldest of the address with the most.
    fn rank(&mut self, mut groups: Groups<'_>) {
        for all in groups.values_mut() {
            // The next one stands last.
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
