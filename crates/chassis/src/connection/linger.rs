//! Lingering close of a connection whose peer may still be sending.
//!
//! Closing a socket with unread bytes resets it, and a reset can destroy the response in transit:
//! a proxy then reports 502. So our side is shut down first, and further input is read and discarded for a while, as
//! nginx does with `lingering_close`.
//!
//! Next: [`crate::middleware`], where its requests went.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{io::Stream, state::State};

/// In total: a peer that has not stopped by then will not.
const TOTAL: Duration = Duration::from_secs(2);
/// In a drain, which must not be delayed: enough for a response to arrive.
const TOTAL_IN_DRAIN: Duration = Duration::from_millis(250);

/// Shuts down our side, and reads until the peer has noticed.
pub(crate) async fn linger(mut stream: impl Stream, state: &State) {
    let total = if state.is_asked_to_close() { TOTAL_IN_DRAIN } else { TOTAL };
    let deadline = Instant::now() + total;
    let read_on = async {
        if timeout_at(deadline, stream.shutdown()).await.is_err() {
            return;
        }
        let mut scrap = vec![0; 16 * 1024];
        while let Ok(Ok(1..)) = timeout_at(deadline, stream.read(&mut scrap)).await {}
    };
    unless_asked(state, read_on).await;
}

/// Lingers until the connection is asked to make room.
async fn unless_asked(state: &State, lingering: impl Future<Output = ()>) {
    state.set_lingering();
    tokio::select! {
        () = lingering => {}
        () = state.asked_to_yield() => {}
    }
}

/// A last response to a peer that must make room: only what can be sent immediately.
pub(super) async fn part(mut stream: impl Stream, response: &[u8]) {
    // 50 ms: the response fits in an empty socket buffer, and a full one is not waited for.
    let _ = timeout(Duration::from_millis(50), async {
        stream.write_all(response).await?;
        stream.shutdown().await
    })
    .await;
}

/// The same for HTTP/2, whose peers acknowledge what they read: as long as they do, they are still reading.
pub(super) async fn linger_while_read(mut stream: impl Stream, state: &State, total: Duration) {
    let gap = if state.is_asked_to_close() { TOTAL / 2 } else { TOTAL };
    let deadline = Instant::now() + total;
    if timeout(gap, stream.shutdown()).await.is_err() {
        return;
    }
    let mut scrap = vec![0; 4 * 1024];
    let read_on = async {
        while Instant::now() < deadline && !state.is_cut() {
            if !matches!(timeout(gap, stream.read(&mut scrap)).await, Ok(Ok(1..))) {
                return;
            }
        }
    };
    unless_asked(state, read_on).await;
}

/// Sends a last response, and lingers.
pub(crate) async fn answer(mut stream: impl Stream, state: &State, response: &[u8]) {
    if let Ok(Ok(())) = timeout(TOTAL_IN_DRAIN, stream.write_all(response)).await {
        linger(stream, state).await;
    }
}
