//! What an HTTP/2 connection may take and hold, by h2's own limits.
//!
//! Next: [`super::frames`], which bounds what h2 does not.

use std::sync::Arc;

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;

use super::{executor::Executor, state::State};

/// 250: what Kestrel and others grant; the admission behind it bounds the work.
const STREAMS: u32 = 250;
/// 128 KiB, twice nginx's: a body that nobody reads yet waits in h2, up to this.
///
/// h2 also bounds the small DATA frames that wait: each costs what it is short of 256 bytes, and half of the connection's
/// window is the budget; beyond it the connection ends. So the connection's window is 32 times a stream's: a stalled stream
/// of frames of 16 bytes, or ten streams of 100, end at their windows and not at the budget. It is also the most that a
/// connection makes us hold of bodies that wait unread: 4 MiB.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Of its own for each connection, as its executor is.
pub(super) fn builder(state: &Arc<State>, max_head: usize) -> http2::Builder<Executor> {
    let mut http2 = http2::Builder::new(Executor::new(state));
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(2 * max_head).unwrap_or(u32::MAX))
        // 64 KiB: the part of a response that never counts.
        .max_send_buf_size(64 * 1024)
        .max_concurrent_streams(STREAMS)
        // All of them may be cancelled at once: h2's default of 20 ends the connection of a proxy whose clients left
        // together. Beyond it, a client that opens and cancels without end gets ENHANCE_YOUR_CALM.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(32 * STREAM_WINDOW);
    http2
}
