//! Commands to a connection: make room, close, or close at once. Its own task executes them when it can.
//!
//! Next: [`super::drive`].

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::Poll,
};

use super::{
    closed::Closed,
    state::{Phase, State},
};

#[derive(Debug, Default)]
pub(super) struct Orders {
    yield_place: AtomicBool,
    /// A request came instead of the silence: its response is the last one.
    yields_after_response: AtomicBool,
    /// Its slot is free again, though it is still registered.
    without_place: AtomicBool,
    close: AtomicBool,
    cut: AtomicBool,
    reset_for_memory: AtomicBool,
    retire: AtomicBool,
}

impl State {
    /// Whether it was already asked to make room.
    pub(super) fn is_asked_to_yield(&self) -> bool {
        self.orders.yield_place.load(Relaxed)
    }

    /// Whether it was asked to make room, and will: nobody takes the command once the slot is free. One that has taken it and
    /// is between requests is about to end, however long a busy machine takes for that.
    pub(super) fn is_about_to_yield(&self) -> bool {
        let ends = || self.closing() == Some(Closed::Yielded) && self.phase() == Phase::Idle && !self.is_lingering();
        let is_told = self.is_asked_to_yield() || !self.is_multiplexed() && ends();
        is_told && !self.is_without_place()
    }

    /// Whether it has no slot to give.
    pub(super) fn is_without_place(&self) -> bool {
        self.orders.without_place.load(Relaxed)
    }

    pub(super) fn set_without_place(&self) {
        self.orders.without_place.store(true, Relaxed);
    }

    /// Asks the connection to make room for a new one.
    pub(crate) fn yield_place(&self) {
        self.orders.yield_place.store(true, Relaxed);
        self.wake();
    }

    /// Takes the command: a connection that became busy meanwhile keeps its slot.
    pub(crate) fn takes_yield(&self) -> bool {
        self.orders.yield_place.swap(false, Relaxed)
    }

    /// Resolves when it is asked to make room, for code that is not a [`super::drive::Work`].
    pub(super) async fn asked_to_yield(&self) {
        std::future::poll_fn(|cx| {
            self.register(cx.waker());
            if self.takes_yield() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// A request has begun: one that was asked to make room does so after the response, which says so. The client
    /// loses nothing by that; it might lose a request by a close that crosses it.
    pub(super) fn defer_yield(&self) {
        // Most have no command: a load is cheaper than a swap.
        if self.orders.yield_place.load(Relaxed) && self.takes_yield() && !self.is_multiplexed() {
            self.orders.yields_after_response.store(true, Relaxed);
        }
    }

    pub(super) fn yields_after_response(&self) -> bool {
        self.orders.yields_after_response.load(Relaxed)
    }

    /// Asks the connection to end after its current work.
    pub(crate) fn close(&self) {
        self.orders.close.store(true, Relaxed);
        self.wake();
    }

    pub(crate) fn is_asked_to_close(&self) -> bool {
        self.orders.close.load(Relaxed)
    }

    /// Ends the connection now.
    pub(crate) fn cut(&self) {
        self.orders.cut.store(true, Relaxed);
        self.upgraded_io.wake();
        self.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.orders.cut.load(Relaxed)
    }

    /// Ends the connection now, to free the memory of its response.
    pub(super) fn reset_for_memory(&self) {
        self.orders.reset_for_memory.store(true, Relaxed);
        self.wake();
    }

    pub(super) fn is_reset_for_memory(&self) -> bool {
        self.orders.reset_for_memory.load(Relaxed)
    }

    /// Past its number of requests: HTTP/2 sends GOAWAY.
    pub(crate) fn retire(&self) {
        self.orders.retire.store(true, Relaxed);
        self.wake();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.orders.retire.load(Relaxed)
    }
}
