//! The one timer of a connection: it is moved to an earlier deadline, never back for each request. When it fires early, the
//! deadline is looked at again.
//!
//! Next: [`super::drive`].

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, Sleep};

/// A timer, and whom it wakes.
pub(super) struct Alarm<'a> {
    timer: Pin<&'a mut Sleep>,
    wakes: (usize, usize),
}

impl<'a> Alarm<'a> {
    pub(super) fn new(timer: Pin<&'a mut Sleep>) -> Self {
        Self { timer, wakes: (0, 0) }
    }

    /// Whether it wakes `waker` at `deadline` or earlier: then neither the timer nor the clock need to be asked. It keeps a
    /// clone of the waker, so no other one has that one's address.
    pub(super) fn is_set(&self, deadline: Instant, waker: &Waker) -> bool {
        self.wakes == identity(waker) && !self.timer.is_elapsed() && self.timer.deadline() <= deadline
    }

    /// Ready at the deadline; without one never.
    pub(super) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.timer.is_elapsed() || deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
        self.wakes = identity(cx.waker());
        Poll::Pending
    }
}

/// Never zeros.
fn identity(waker: &Waker) -> (usize, usize) {
    (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}
