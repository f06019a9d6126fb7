//! When a connection makes room for another.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::timeout;

use super::*;
use crate::{connection::Settings, lifecycle::Lifecycle};

/// Work that waits for a peer.
struct Waits;

impl Work for Waits {
    type Output = ();

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn finish(&mut self) -> bool {
        false
    }
}

fn idle() -> (Arc<Limits>, State) {
    let state = State::new();
    state.begin_request();
    state.end_part();
    (Limits::new(Arc::new(ArcSwap::from_pointee(Settings::default())), Lifecycle::new(None)), state)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_busy_a_moment_ago_makes_room_once_it_is_quiet() {
    let (limits, state) = idle();
    state.yield_place();
    let mut work = Waits;
    let mut driven = pin!(drive(&limits, &state, &mut work));
    assert!(timeout(ON_ITS_WAY * 9 / 10, driven.as_mut()).await.is_err(), "its next request may be in transit");
    assert_eq!(timeout(ON_ITS_WAY, driven).await.expect("it is quiet"), Err(Closed::Yielded));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_crosses_the_wish_for_its_place_has_a_moment_to_become_whole() {
    let (limits, state) = idle();
    state.yield_place();
    state.received(1);
    let mut work = Waits;
    let mut driven = pin!(drive(&limits, &state, &mut work));
    assert!(timeout(ON_ITS_WAY * 9 / 10, driven.as_mut()).await.is_err(), "the rest may be in transit");
    assert_eq!(timeout(ON_ITS_WAY, driven).await.expect("it is not"), Err(Closed::Yielded));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_crosses_the_wish_for_its_place_is_answered_as_the_last() {
    let (limits, state) = idle();
    state.yield_place();
    state.begin_request();
    assert_eq!(limits.ends(&state, 2), Some(Closed::Yielded));
    assert!(!state.is_asked_to_yield(), "it is not asked twice");
}
