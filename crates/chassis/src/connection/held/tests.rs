//! Which readers the limit spares.

use std::{future::poll_fn, pin::Pin};

use arc_swap::ArcSwap;
use axum::body::Body;
use http_body::Body as _;
use tokio::time::advance;

use super::{
    super::{Connections, Limits, Metrics, Rules, Settings, outbound::Outbound},
    *,
};
use crate::lifecycle::Lifecycle;

/// It has taken a piece after its first second, and lately.
#[tokio::test(start_paused = true)]
async fn a_reader_that_reads_on_is_told_from_one_that_has_just_begun() {
    let holder = Held::new(1, 1).begin(&Arc::new(State::new()), None);
    let reads_on = || holder.reads_on(Instant::now());
    holder.moves();
    assert!(!reads_on(), "it took what a socket takes at once");
    advance(NEW).await;
    assert!(!reads_on());
    holder.moves();
    assert!(reads_on());
    advance(READS_ON).await;
    assert!(!reads_on(), "it has stopped");
}

/// None of its parts is large, so each is passed on whole.
#[tokio::test(start_paused = true)]
async fn a_reader_of_a_stream_reads_on_with_each_part_that_it_takes() {
    let limits = Limits::new(Arc::new(ArcSwap::from_pointee(Settings::default())), Lifecycle::new(None));
    let entry = Connections::new(1, Rules::default(), Metrics::new(None)).enter(None);
    let parts = futures_util::stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from(vec![0; FREE])));
    let mut body = Outbound::on(&entry, &limits, Body::from_stream(parts));
    let mut next = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("endless").expect("a part");
    let (first, _second) = (next().await, next().await);
    let holder = limits.held.lock()[0].upgrade().expect("more than 64 KiB are held");
    advance(NEW).await;
    assert!(!holder.reads_on(Instant::now()));
    drop(first);
    assert!(holder.reads_on(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn room_is_looked_for_after_a_while_or_for_much_more() {
    let most = 4 * MOST_NEW;
    let held = Held::new(most, most);
    assert!(!held.is_due(MOST_NEW) && held.is_due(MOST_NEW + 1));
    *held.looked() = Some((Instant::now(), MOST_NEW));
    let much = MOST_NEW + MOST_NEW / MORE;
    assert!(!held.is_due(much - 1) && held.is_due(much));
    *held.looked() = Some((Instant::now(), most));
    assert!(held.is_due(most + 1), "above the limit");
    assert!(!held.is_due(most));
    advance(APART).await;
    assert!(held.is_due(most));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_falls_is_looked_at_anew() {
    let held = Held::new(4 * MOST_NEW, 4 * MOST_NEW);
    *held.looked() = Some((Instant::now(), 2 * MOST_NEW));
    assert!(!held.is_due(2 * MOST_NEW), "it fits, and was looked at a moment ago");
    held.set(MOST_NEW, MOST_NEW);
    assert!(held.is_due(2 * MOST_NEW));
    held.set(4 * MOST_NEW, MOST_NEW / 2);
    assert!(held.is_due(MOST_NEW), "more than one connection may hold");
}
