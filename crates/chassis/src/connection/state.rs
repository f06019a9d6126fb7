//! The state of one connection, shared by its socket, its requests and its driver.
//!
//! Next: [`super::drive`].

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
        },
    },
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    behind::Bodies, closed::Closed, heads::Head, orders::Orders, streams::Streams, terms::Terms, waits::Waits,
    yielding::SHARED,
};
use crate::peer::turn;

/// The phase of a connection. Every phase has its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Open, nothing received yet.
    Silent,
    /// A part of a request head was received.
    Head,
    /// A handler is running, or a body is still being transferred.
    Busy,
    /// Between requests.
    Idle,
    /// Taken over by a handler (a WebSocket).
    Upgraded,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Silent, Self::Head, Self::Busy, Self::Idle, Self::Upgraded];
}

/// One connection's state. Its own task writes it; other tasks only send commands.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) opened: Instant,
    /// 0 to 1, drawn once: spreads ages and drains over their windows.
    pub(crate) draw: f32,
    phase: AtomicU8,
    /// Milliseconds from `opened` to the start of the phase.
    since: AtomicU64,
    /// The peer's group at the connection limit.
    pub(super) group: AtomicU64,
    /// It is done, and only reads until its peer has noticed the end.
    lingering: AtomicBool,
    /// Requests and bodies that are still moving.
    parts: AtomicU32,
    pub(super) requests: AtomicU64,
    /// Why the last response said close, plus one; zero when none did.
    closing: AtomicU8,
    /// HTTP/2: many requests at once, and frames that belong to none.
    multiplexed: AtomicBool,
    /// Since when each response of a multiplexed connection waits for the peer to read more of it.
    pub(super) streams: Streams,
    /// A request body was left unread in the socket, so a plain close would reset our response.
    pub(crate) unread: AtomicBool,
    /// The driver asks whether the socket has input; `io` replies in `input`.
    pub(crate) probe: AtomicBool,
    pub(crate) input: AtomicBool,
    pub(super) head: Head,
    pub(super) waits: Waits,
    pub(super) bodies: Bodies,
    pub(super) orders: Orders,
    pub(super) terms: Terms,
    driver: AtomicWaker,
    pub(crate) upgraded_io: AtomicWaker,
    ending: OnceLock<CancellationToken>,
    has_ended: AtomicBool,
    /// It was ended in the middle of a response.
    pub(crate) unfinished: AtomicBool,
}

thread_local! {
    /// The connection whose driver polls on this thread.
    static DRIVEN: Cell<usize> = const { Cell::new(0) };
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            draw: fastrand::f32(),
            phase: AtomicU8::new(Phase::Silent as u8),
            since: AtomicU64::new(0),
            group: AtomicU64::new(SHARED),
            lingering: AtomicBool::new(false),
            parts: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            closing: AtomicU8::new(0),
            multiplexed: AtomicBool::new(false),
            streams: Streams::default(),
            unread: AtomicBool::new(false),
            probe: AtomicBool::new(false),
            input: AtomicBool::new(false),
            head: Head::default(),
            waits: Waits::default(),
            bodies: Bodies::default(),
            orders: Orders::default(),
            terms: Terms::default(),
            driver: AtomicWaker::new(),
            upgraded_io: AtomicWaker::new(),
            ending: OnceLock::new(),
            has_ended: AtomicBool::new(false),
            unfinished: AtomicBool::new(false),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match Phase::ALL[usize::from(self.phase.load(Acquire))] {
            // Parts end on other threads too, so only their number distinguishes the two.
            Phase::Busy | Phase::Idle if self.parts.load(Acquire) > 0 => Phase::Busy,
            Phase::Busy | Phase::Idle => Phase::Idle,
            phase => phase,
        }
    }

    /// When the phase began.
    pub(crate) fn since(&self) -> Instant {
        self.opened + Duration::from_millis(self.since.load(Relaxed))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.since.store(self.after(turn::look()), Relaxed);
        self.phase.store(phase as u8, Release);
    }

    /// Returns to a phase that began at `since`: the input meanwhile did not belong to a request.
    #[cfg_attr(not(any(test, feature = "fastcgi")), expect(dead_code, reason = "records of no request are FastCGI's"))]
    pub(crate) fn resume(&self, phase: Phase, since: Instant) {
        self.since.store(self.after(since), Relaxed);
        self.phase.store(phase as u8, Release);
    }

    pub(crate) fn multiplex(&self) {
        self.multiplexed.store(true, Relaxed);
        // The preface and the first SETTINGS are the head of the connection: one wait.
        self.owes_since(self.since.load(Relaxed));
        self.enter(Phase::Idle);
    }

    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    /// Bytes came in: between requests they are the start of a head.
    pub(crate) fn received(&self, bytes: usize) {
        match self.phase() {
            Phase::Silent | Phase::Idle if !self.is_multiplexed() => self.begin_head(bytes),
            Phase::Head => self.head.grow(bytes),
            // Its phase restarts with each byte, which shows that the peer is alive.
            Phase::Upgraded => self.since.store(self.now(), Relaxed),
            _ => {}
        }
    }

    /// A request's head is complete. Returns which request of this connection it is, from 1.
    pub(crate) fn begin_request(&self) -> u64 {
        self.begin_part();
        self.phase.store(Phase::Busy as u8, Release);
        self.forget_answer();
        self.defer_yield();
        self.requests.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn begin_part(&self) {
        self.parts.fetch_add(1, AcqRel);
    }

    /// A request or a body ended; the last of them makes the connection idle.
    pub(crate) fn end_part(&self) {
        // First, so that a reader that sees an idle connection also sees since when.
        self.since.store(self.after(turn::now()), Relaxed);
        if self.parts.fetch_sub(1, AcqRel) == 1 && DRIVEN.get() != self.address() {
            // It ended outside the driver's poll (a body that was drained), and the deadline has changed.
            self.driver.wake();
        }
    }

    /// Runs the driver's poll: work that ends inside it needs no separate wake-up.
    pub(crate) fn driven<T>(&self, poll: impl FnOnce() -> T) -> T {
        let outer = DRIVEN.replace(self.address());
        let result = turn::run(poll);
        DRIVEN.set(outer);
        result
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Requests, responses and bodies that are still moving.
    pub(crate) fn parts(&self) -> usize {
        self.parts.load(Acquire) as usize
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.lingering.load(Relaxed)
    }

    pub(super) fn set_lingering(&self) {
        self.lingering.store(true, Relaxed);
    }

    /// Whether a request is in flight, its response is not out yet, or a handler holds the connection.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.phase(), Phase::Busy | Phase::Upgraded) || self.blocked_since().is_some()
    }

    pub(crate) fn set_closing(&self, reason: Closed) {
        self.closing.store(reason as u8 + 1, Relaxed);
    }

    /// Why the connection is closing, if it is.
    pub(crate) fn closing(&self) -> Option<Closed> {
        let at = self.closing.load(Relaxed).checked_sub(1)?;
        Some(Closed::ALL[usize::from(at)])
    }

    pub(crate) fn wake(&self) {
        self.driver.wake();
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.driver.register(waker);
    }

    /// The rest of a request body is not read. Streams of HTTP/2 end by themselves.
    pub(crate) fn set_unread(&self) {
        self.unread.store(!self.is_multiplexed(), Relaxed);
    }

    /// A token for handlers that hold the connection long: a child of `drain` that its age ends as well.
    pub(crate) fn ending(&self, drain: &CancellationToken) -> CancellationToken {
        let token = self.ending.get_or_init(|| drain.child_token()).clone();
        if self.has_ended.load(SeqCst) {
            token.cancel();
        }
        token
    }

    /// The connection must end: long-running handlers are notified.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, SeqCst);
        if let Some(token) = self.ending.get() {
            token.cancel();
        }
    }

    /// Milliseconds from `opened`.
    pub(super) fn now(&self) -> u64 {
        self.after(Instant::now())
    }

    /// Milliseconds from `opened` until `instant`.
    pub(super) fn after(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.opened).as_millis()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_when_its_last_part_ends() {
        let state = State::new();
        state.received(1);
        assert_eq!(state.phase(), Phase::Head);
        assert_eq!(state.begin_request(), 1);
        state.begin_part();
        state.end_part();
        assert_eq!(state.phase(), Phase::Busy);
        state.end_part();
        assert_eq!(state.phase(), Phase::Idle);
    }

    #[test]
    fn frames_between_requests_of_a_multiplexed_connection_are_no_head() {
        let state = State::new();
        state.multiplex();
        state.received(1);
        assert_eq!(state.phase(), Phase::Idle);
    }
}
