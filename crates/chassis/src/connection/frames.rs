//! The frames of an HTTP/2 connection, seen on its socket (RFC 9113, sections 4.1 and 6): only their headers are read.
//!
//! h2 waits forever for the rest of a frame or of a header block, and for SETTINGS; it answers each PING and SETTINGS.
//! So this module tracks since when something is incomplete, and counts control frames, and DATA that is empty.
//!
//! h2 itself limits requests that are reset immediately, CONTINUATION, and small DATA. Nothing here is rejected for its
//! format.
//!
//! Next: [`super::state`].

use std::io::IoSlice;

use tokio::time::Instant;

use super::{
    blocks::Blocks,
    closed::Closed,
    refusals::{HEADERS, Refusals},
};

// RFC 9113, section 6.
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// 1,000 frames at once: the limit for unanswered frames in Envoy and nghttp2.
const AT_ONCE: u32 = 1_000;
/// 100 a second cost less than one request does. Keep-alive takes one in ten seconds.
const PER_SECOND: f64 = 100.0;
/// Per response frame: Envoy's limit for `WINDOW_UPDATE`. gRPC clients send a PING besides, to measure the path.
const PER_FRAME_SENT: u32 = 10;
/// For each request: its end, and its priority.
const PER_REQUEST: u32 = 2;
/// 10,000: a client may acknowledge at once what a window of 16 MiB held, twice for each of 1,024 frames.
const MOST: u32 = 10_000;

/// What is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// A frame, a header block, or the SETTINGS that come first.
    Frame,
    /// A part of a body: its reader has its own timer.
    Data,
}

/// The result of one read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// As before.
    Same,
    /// Something else is incomplete since this read, or nothing is.
    Now(Option<Half>),
    /// Too many control frames.
    Flood,
}

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Frames {
    received: Walk,
    sent: Walk,
    /// The header block goes on in another frame.
    in_block: bool,
    /// The first SETTINGS have arrived.
    is_settled: bool,
    half: Option<Half>,
    /// Bytes since it began.
    begun: usize,
    credit: u32,
    refilled: Instant,
    /// Those that were received, on their way to h2.
    pub(super) blocks: Blocks,
    pub(super) refusals: Refusals,
    /// What h2 ends the connection for.
    fault: Option<Closed>,
    /// Before the bytes that are being written, in case only a part of them is.
    before: (Walk, u32),
}

impl Frames {
    /// Behind the preface.
    pub(super) fn new(max_head: usize) -> Self {
        Self {
            received: Walk::default(),
            sent: Walk::default(),
            in_block: false,
            is_settled: false,
            half: Some(Half::Frame),
            begun: 0,
            credit: AT_ONCE,
            refilled: Instant::now(),
            blocks: Blocks::new(max_head),
            refusals: Refusals::default(),
            fault: None,
            before: Default::default(),
        }
    }

    /// Bytes came in.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Seen {
        let mut has_begun = false;
        while !bytes.is_empty() {
            // Frames of one block, and all up to the first SETTINGS, count as one: a further one extends no deadline.
            if self.received.is_between() && !self.in_block && self.is_settled {
                (has_begun, self.begun) = (true, 0);
            }
            let before = bytes.len();
            let header = self.received.step(&mut bytes);
            self.begun += before - bytes.len();
            if let Some((kind, flags)) = header {
                self.refusals.received(kind, flags, self.received.stream());
                if kind == SETTINGS {
                    self.refusals.settings(bytes.get(..self.received.left));
                }
                if !self.take(kind, flags) {
                    return Seen::Flood;
                }
            }
            if self.received.is_between() && !self.in_block {
                self.refusals.block_ended();
            }
        }
        let half = self.half();
        let is_same = half == self.half && !(has_begun && half.is_some());
        self.half = half;
        if is_same { Seen::Same } else { Seen::Now(half) }
    }

    /// How many bytes of a header block, or of another frame but DATA, are here.
    pub(super) fn incomplete(&self) -> usize {
        if self.half == Some(Half::Frame) { self.begun } else { 0 }
    }

    /// Bytes are about to be sent: their frames allow for replies. Returns how many go before a frame that is replaced.
    pub(super) fn send(&mut self, bufs: &[IoSlice<'_>]) -> usize {
        self.before = (self.sent.clone(), self.credit);
        let mut count = 0;
        for buf in bufs {
            let mut bytes = &buf[..];
            while !bytes.is_empty() {
                if self.sent.is_between() && self.refusals.is_refusal(bytes) {
                    return count;
                }
                let before = bytes.len();
                self.send_some(&mut bytes);
                count += before - bytes.len();
            }
        }
        count
    }

    /// Only `count` of them were.
    pub(super) fn sent_only(&mut self, bufs: &[IoSlice<'_>], mut count: usize) {
        (self.sent, self.credit) = std::mem::take(&mut self.before);
        for buf in bufs {
            let mut bytes = &buf[..count.min(buf.len())];
            count -= bytes.len();
            while !bytes.is_empty() {
                self.send_some(&mut bytes);
            }
        }
    }

    fn send_some(&mut self, bytes: &mut &[u8]) {
        let Some((kind, flags)) = self.sent.step(bytes) else { return };
        self.refusals.sent(kind, flags, self.sent.stream(), self.sent.left);
        if kind == GOAWAY {
            self.fault = bytes.get(4..8).and_then(fault);
        }
        if matches!(kind, DATA | HEADERS) {
            self.credit = MOST.min(self.credit + PER_FRAME_SENT);
        }
    }

    /// Why h2 has just said that the connection ends, if that is the peer's doing.
    pub(super) fn take_fault(&mut self) -> Option<Closed> {
        self.fault.take()
    }

    /// A frame header is complete. Returns whether the frame is allowed.
    fn take(&mut self, kind: u8, flags: u8) -> bool {
        match kind {
            // An empty part that is not the last; `Blocks` drops it.
            DATA if self.received.left == 0 && flags & END_STREAM == 0 => return self.pay(),
            DATA => return true,
            HEADERS => self.credit = MOST.min(self.credit + PER_REQUEST),
            PUSH_PROMISE | CONTINUATION => {}
            _ => {
                self.is_settled |= kind == SETTINGS;
                return self.pay();
            }
        }
        self.in_block = flags & END_HEADERS == 0;
        true
    }

    fn pay(&mut self) -> bool {
        if self.credit == 0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
            let earned = (self.refilled.elapsed().as_secs_f64() * PER_SECOND) as u32;
            self.credit = AT_ONCE.min(earned);
            self.refilled = Instant::now();
        }
        let left = self.credit.checked_sub(1);
        self.credit = left.unwrap_or_default();
        left.is_some()
    }

    fn half(&self) -> Option<Half> {
        match self.received {
            _ if !self.is_settled || self.in_block => Some(Half::Frame),
            Walk { left: 1.., kind: DATA, .. } => Some(Half::Data),
            _ if self.received.is_between() => None,
            _ => Some(Half::Frame),
        }
    }
}

/// By the error code of a GOAWAY frame (RFC 9113, section 7).
fn fault(code: &[u8]) -> Option<Closed> {
    match code {
        // NO_ERROR and INTERNAL_ERROR.
        [0, 0, 0, 0 | 2] => None,
        // ENHANCE_YOUR_CALM.
        [0, 0, 0, 11] => Some(Closed::Flood),
        _ => Some(Closed::Malformed),
    }
}

/// Where in a frame one direction is.
#[derive(Clone, Debug, Default)]
struct Walk {
    header: [u8; 9],
    /// Received bytes of the header.
    have: usize,
    /// Missing bytes of the payload.
    left: usize,
    kind: u8,
}

impl Walk {
    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Of the last frame.
    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.header;
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    /// Consumes bytes up to the end of a header or a payload. Returns kind and flags if they complete a header.
    fn step(&mut self, bytes: &mut &[u8]) -> Option<(u8, u8)> {
        if self.left > 0 {
            let taken = self.left.min(bytes.len());
            *bytes = &bytes[taken..];
            self.left -= taken;
            return None;
        }
        let taken = (self.header.len() - self.have).min(bytes.len());
        self.header[self.have..][..taken].copy_from_slice(&bytes[..taken]);
        *bytes = &bytes[taken..];
        self.have += taken;
        if self.have < self.header.len() {
            return None;
        }
        let [high, middle, low, kind, flags, ..] = self.header;
        self.have = 0;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.kind = kind;
        Some((kind, flags))
    }
}

#[cfg(test)]
mod tests;
