//! The end of a connection whose peer may still be sending.
//!
//! Closing a socket that holds unread bytes resets it, and a reset can destroy the answer that is still on its way:
//! a proxy then reports 502. So our side is closed first, and what still comes is read and dropped for a while, as
//! nginx does with `lingering_close`.
//!
//! Next: [`crate::middleware`], where its requests went.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use super::{io::Stream, state::State};

/// In all: a peer that has not stopped by then is not going to.
const TOTAL: Duration = Duration::from_secs(2);
/// In a drain, which nobody may hold up: enough for an answer to arrive.
const TOTAL_IN_DRAIN: Duration = Duration::from_millis(250);

/// Says that nothing more comes, and reads on until the peer has heard it.
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

/// Lingers for as long as nobody needs the place.
async fn unless_asked(state: &State, lingering: impl Future<Output = ()>) {
    state.set_lingering();
    tokio::select! {
        () = lingering => {}
        () = state.asked_to_yield() => {}
    }
}

/// A last answer to a peer whose place is needed now: what goes out at once.
pub(super) async fn part(mut stream: impl Stream, response: &[u8]) {
    // 50 ms: the answer fits in an empty buffer of the socket, and a full one is not waited for.
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

/// Sends a last answer, and lingers.
pub(super) async fn answer(mut stream: impl Stream, state: &State, response: &[u8]) {
    if let Ok(Ok(())) = timeout(TOTAL_IN_DRAIN, stream.write_all(response)).await {
        linger(stream, state).await;
    }
}
