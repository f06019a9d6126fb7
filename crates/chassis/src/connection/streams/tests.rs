//! Which responses wait for their peer, and which of them end.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_connection_is_blocked_when_all_its_responses_wait_for_the_peer() {
    let (streams, begun) = (Streams::default(), Instant::now());
    assert_eq!(streams.blocked_since(0), None);
    let first = streams.begin(true);
    first.waits(true);
    tokio::time::advance(SECOND).await;
    let second = streams.begin(true);
    assert_eq!(streams.blocked_since(2), None, "a request without a response goes on");
    second.waits(true);
    assert_eq!(streams.blocked_since(2), Some(begun + SECOND));
    assert_eq!(streams.blocked_since(3), None, "a request without a response goes on");
    second.waits(false);
    assert_eq!(streams.blocked_since(2), None, "the app is waited for");
    streams.end(&second);
    assert_eq!(streams.blocked_since(1), Some(begun));
    streams.end(&first);
    assert_eq!(streams.blocked_since(0), None);
    let third = streams.begin(true);
    assert_eq!(streams.lock().all.len(), 2, "the slots of those that ended are used again");
    streams.end(&third);
}

#[tokio::test(start_paused = true)]
async fn each_stalled_response_is_reset_by_itself() {
    let (streams, begun) = (Streams::default(), Instant::now());
    let [stalled, app, later] = [(), (), ()].map(|()| streams.begin(true));
    stalled.waits(true);
    assert_eq!(streams.reset_stalled(SECOND * 2), begun + SECOND * 2);
    tokio::time::advance(SECOND).await;
    later.waits(true);
    tokio::time::advance(SECOND).await;
    assert_eq!(streams.reset_stalled(SECOND * 2), begun + SECOND * 3);
    assert_eq!([&stalled, &app, &later].map(|stream| stream.is_reset()), [true, false, false]);
    later.set_done();
    tokio::time::advance(SECOND).await;
    streams.reset_stalled(SECOND * 2);
    assert!(!later.is_reset() && streams.is_stuck(), "h2 holds the last of it");
}
