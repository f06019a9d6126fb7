//! What a connection waits for its peer to send or to take, and since when. Times are in milliseconds from `opened`.
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
    /// Request bodies that are waited for, and the moment since which all of them are.
    stalled: AtomicU32,
    stalled_since: AtomicU64,
    /// HTTP/1 and the CGI doors: the response to the present request has begun.
    answering: AtomicBool,
    /// The last byte of an upgraded connection, either way.
    moved: AtomicU64,
    /// The start of the write that blocks, plus one; zero when none does.
    blocked: AtomicU64,
    /// Twice the time of what is half here, plus two; one more for a piece of a body. Zero: nothing is.
    half: AtomicU64,
}

impl State {
    /// What is half here from now on.
    pub(super) fn set_half(&self, half: Option<Half>) {
        self.waits.half.store(half.map_or(0, |half| (self.now() + 1) << 1 | u64::from(half == Half::Data)), Relaxed);
    }

    /// Since when the peer owes the rest of something that nobody else waits for.
    pub(super) fn half_since(&self) -> Option<Instant> {
        let half = self.waits.half.load(Relaxed);
        let since = self.opened + Duration::from_millis((half >> 1).checked_sub(1)?);
        if half & 1 == 0 { Some(since) } else { (self.phase() == Phase::Idle).then(|| since.max(self.since())) }
    }

    /// A response has begun: a request that was given up can no longer be answered otherwise.
    pub(crate) fn answers(&self) {
        self.waits.answering.store(true, Relaxed);
    }

    /// A request body is waited for; `since` when, less what its bytes have earned.
    pub(super) fn body_stalls(&self, since: Instant) {
        let since = u64::try_from((since - self.opened).as_millis()).unwrap_or(u64::MAX);
        // Of several the latest: all of them have waited since then.
        if self.waits.stalled.fetch_add(1, AcqRel) == 0 {
            self.waits.stalled_since.store(since, Relaxed);
        } else {
            self.waits.stalled_since.fetch_max(since, Relaxed);
        }
    }

    /// It is not waited for any more.
    pub(super) fn body_moves(&self) {
        self.waits.stalled.fetch_sub(1, AcqRel);
    }

    /// Since when nothing but the bodies of its requests has been waited for.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        let bodies = self.waits.stalled.load(Acquire) as usize;
        // A request of HTTP and its body are two parts; through a CGI door they are one.
        if bodies == 0 || 2 * bodies < self.parts() || self.waits.answering.load(Relaxed) || self.streams.any() {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.waits.stalled_since.load(Relaxed)))
    }

    /// Whether its peer has kept it waiting for `patience`, by a body or by taking nothing.
    pub(super) fn is_stalled_for(&self, patience: Duration) -> bool {
        let since = self.blocked_since().or_else(|| self.stalled_since());
        since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// Bytes of an upgraded connection moved.
    pub(super) fn set_moved(&self) {
        self.waits.moved.store(self.now(), Relaxed);
    }

    pub(super) fn moved(&self) -> Instant {
        self.opened + Duration::from_millis(self.waits.moved.load(Relaxed))
    }

    /// A write could not go on, or went on.
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

    /// The peer owes the rest of something since `since`.
    pub(super) fn owes_since(&self, since: u64) {
        self.waits.half.store((since + 1) << 1, Relaxed);
    }

    /// The next request has no response yet.
    pub(super) fn forget_answer(&self) {
        self.waits.answering.store(false, Relaxed);
    }
}
