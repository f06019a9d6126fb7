//! What others ask of a connection: its place, its end, or its end at once. Its own task obeys when it can.
//!
//! Next: [`super::drive`].

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::Poll,
};

use super::state::State;

#[derive(Debug, Default)]
pub(super) struct Orders {
    yield_place: AtomicBool,
    close: AtomicBool,
    cut: AtomicBool,
    reset_for_memory: AtomicBool,
    retire: AtomicBool,
}

impl State {
    /// Whether it was asked for its place already.
    pub(super) fn is_asked_to_yield(&self) -> bool {
        self.orders.yield_place.load(Relaxed)
    }

    /// Asks the connection to make room for a new one.
    pub(crate) fn yield_place(&self) {
        self.orders.yield_place.store(true, Relaxed);
        self.wake();
    }

    /// Takes the order: a connection that became busy meanwhile keeps its place.
    pub(crate) fn takes_yield(&self) -> bool {
        self.orders.yield_place.swap(false, Relaxed)
    }

    /// Resolves when it is asked for its place, for what is no [`super::drive::Work`].
    pub(super) async fn asked_to_yield(&self) {
        std::future::poll_fn(|cx| {
            self.register(cx.waker());
            if self.takes_yield() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// A connection that became busy keeps its place.
    pub(super) fn forget_yield(&self) {
        // Most were never asked: a load is cheaper than a swap.
        if self.orders.yield_place.load(Relaxed) {
            self.takes_yield();
        }
    }

    /// Asks the connection to end after what it is doing.
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

    /// Ends the connection now: its response holds memory that is needed.
    pub(super) fn reset_for_memory(&self) {
        self.orders.reset_for_memory.store(true, Relaxed);
        self.wake();
    }

    pub(super) fn is_reset_for_memory(&self) -> bool {
        self.orders.reset_for_memory.load(Relaxed)
    }

    /// Past its number of requests: HTTP/2 says so by a frame of its own.
    pub(crate) fn retire(&self) {
        self.orders.retire.store(true, Relaxed);
        self.wake();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.orders.retire.load(Relaxed)
    }
}
