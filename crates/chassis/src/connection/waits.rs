//! What a connection waits for its peer to send or to read, and since when. Times are in milliseconds from `opened`.
//!
//! Next: [`super::drive`], whose deadlines they are.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    frames::Half,
    state::{Phase, State},
};

#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Number of request bodies that we wait for, and since when for all of them.
    stalled: AtomicU32,
    stalled_since: AtomicU64,
    /// HTTP/1 and the CGI doors: the response to the present request has begun.
    answering: AtomicBool,
    /// The last byte of an upgraded connection, either way.
    moved: AtomicU64,
    /// The start of the write that blocks, plus one; zero when none does.
    blocked: AtomicU64,
    /// Twice the start time of an incomplete item, plus two; one more for a part of a body. Zero: none.
    half: AtomicU64,
}

impl State {
    /// Sets what is incomplete from now on.
    pub(super) fn set_half(&self, half: Option<Half>) {
        self.waits.half.store(half.map_or(0, |half| (self.now() + 1) << 1 | u64::from(half == Half::Data)), Relaxed);
    }

    /// Since when the rest of an incomplete item is missing, if no other timer covers it.
    pub(super) fn half_since(&self) -> Option<Instant> {
        let half = self.waits.half.load(Relaxed);
        let since = self.opened + Duration::from_millis((half >> 1).checked_sub(1)?);
        if half & 1 == 0 { Some(since) } else { (self.phase() == Phase::Idle).then(|| since.max(self.since())) }
    }

    /// A response has begun: a cancelled request can no longer get a different response.
    pub(crate) fn answers(&self) {
        self.waits.answering.store(true, Relaxed);
    }

    /// Waits for a request body since `since`, adjusted for the bytes that arrived.
    pub(super) fn body_stalls(&self, since: Instant) {
        let since = u64::try_from((since - self.opened).as_millis()).unwrap_or(u64::MAX);
        // Of several the latest: all of them have waited since then.
        if self.waits.stalled.fetch_add(1, AcqRel) == 0 {
            self.waits.stalled_since.store(since, Relaxed);
        } else {
            self.waits.stalled_since.fetch_max(since, Relaxed);
        }
    }

    /// The wait is over.
    pub(super) fn body_moves(&self) {
        self.waits.stalled.fetch_sub(1, AcqRel);
    }

    /// Since when the connection only waits for request bodies.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        let bodies = self.waits.stalled.load(Acquire) as usize;
        // In HTTP a request and its body are two parts; in the CGI protocols they are one.
        if bodies == 0 || 2 * bodies < self.parts() || self.waits.answering.load(Relaxed) || self.streams.any() {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.waits.stalled_since.load(Relaxed)))
    }

    /// Whether it has waited `patience` for its peer, for a body or for reading.
    pub(super) fn is_stalled_for(&self, patience: Duration) -> bool {
        let since = self.blocked_since().or_else(|| self.stalled_since());
        since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// Bytes of an upgraded connection were transferred.
    pub(super) fn set_moved(&self) {
        self.waits.moved.store(self.now(), Relaxed);
    }

    pub(super) fn moved(&self) -> Instant {
        self.opened + Duration::from_millis(self.waits.moved.load(Relaxed))
    }

    /// A write blocked, or continued.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        match (blocked, self.waits.blocked.load(Relaxed)) {
            (true, 0) => self.waits.blocked.store(self.now() + 1, Relaxed),
            (false, 1..) => self.waits.blocked.store(0, Relaxed),
            _ => {}
        }
    }

    /// Since when a write has been waiting for the peer.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        let blocked = self.waits.blocked.load(Relaxed).checked_sub(1)?;
        Some(self.opened + Duration::from_millis(blocked))
    }

    /// The rest of an incomplete item is missing since `since`.
    pub(super) fn owes_since(&self, since: u64) {
        self.waits.half.store((since + 1) << 1, Relaxed);
    }

    /// The next request has no response yet.
    pub(super) fn forget_answer(&self) {
        self.waits.answering.store(false, Relaxed);
    }
}
