//! The frames of an HTTP/2 connection, seen on its socket (RFC 9113, sections 4.1 and 6): only their headers are read.
//!
//! h2 waits forever for the rest of a frame or of a header block, and for SETTINGS; it answers each PING and SETTINGS.
//! So this module tracks since when something is incomplete, and counts control frames.
//!
//! h2 itself limits requests that are reset immediately, CONTINUATION, and small and empty DATA. Nothing here is
//! rejected for its format.
//!
//! Next: [`super::state`].

use tokio::time::Instant;

use super::blocks::Blocks;

// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
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
pub(super) struct Frames {
    received: Walk,
    sent: Walk,
    /// The header block goes on in another frame.
    in_block: bool,
    /// The first SETTINGS have arrived.
    is_settled: bool,
    half: Option<Half>,
    credit: u32,
    refilled: Instant,
    /// Those that were received, on their way to h2.
    pub(super) blocks: Blocks,
}

impl Frames {
    /// Behind the preface.
    pub(super) fn new() -> Self {
        Self {
            received: Walk::default(),
            sent: Walk::default(),
            in_block: false,
            is_settled: false,
            half: Some(Half::Frame),
            credit: AT_ONCE,
            refilled: Instant::now(),
            blocks: Blocks::default(),
        }
    }

    /// Bytes came in.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Seen {
        let mut has_begun = false;
        while !bytes.is_empty() {
            // Frames of one block, and all up to the first SETTINGS, count as one: a further one extends no deadline.
            has_begun |= self.received.is_between() && !self.in_block && self.is_settled;
            let Some((kind, flags)) = self.received.step(&mut bytes) else { continue };
            if !self.take(kind, flags) {
                return Seen::Flood;
            }
        }
        let half = self.half();
        let is_same = half == self.half && !(has_begun && half.is_some());
        self.half = half;
        if is_same { Seen::Same } else { Seen::Now(half) }
    }

    /// Bytes were sent: their frames allow for replies.
    pub(super) fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Some((DATA | HEADERS, _)) = self.sent.step(&mut bytes) {
                self.credit = MOST.min(self.credit + PER_FRAME_SENT);
            }
        }
    }

    /// A frame header is complete. Returns whether the frame is allowed.
    fn take(&mut self, kind: u8, flags: u8) -> bool {
        match kind {
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

/// Where in a frame one direction is.
#[derive(Debug, Default)]
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
mod tests {
    use super::*;

    const SETTLED: [u8; 9] = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    fn settled() -> Frames {
        let mut frames = Frames::new();
        assert_eq!(frames.receive(&SETTLED), Seen::Now(None));
        frames
    }

    #[test]
    fn the_first_settings_are_waited_for() {
        let mut frames = Frames::new();
        assert_eq!(frames.receive(&SETTLED[..4]), Seen::Same);
        assert_eq!(frames.receive(&SETTLED[4..]), Seen::Now(None));
    }

    #[test]
    fn whatever_way_bytes_are_cut_a_frame_is_whole_at_its_end() {
        for cut in 1..PING.len() {
            let mut frames = settled();
            assert_eq!(frames.receive(&PING[..cut]), Seen::Now(Some(Half::Frame)), "{cut}");
            assert_eq!(frames.receive(&PING[cut..]), Seen::Now(None), "{cut}");
        }
    }

    #[test]
    fn another_half_frame_is_another_wait_and_more_of_it_is_not() {
        let mut frames = settled();
        assert_eq!(frames.receive(&[&PING[..], &PING[..3]].concat()), Seen::Now(Some(Half::Frame)));
        assert_eq!(frames.receive(&PING[3..5]), Seen::Same);
        assert_eq!(frames.receive(&[&PING[5..], &PING[..3]].concat()), Seen::Now(Some(Half::Frame)));
    }

    #[test]
    fn a_header_block_is_one_thing() {
        let mut frames = settled();
        assert_eq!(frames.receive(&[0, 0, 1, HEADERS, 1, 0, 0, 0, 1, 0x82]), Seen::Now(Some(Half::Frame)));
        assert_eq!(frames.receive(&[0, 0, 0, CONTINUATION, 0, 0, 0, 0, 1]), Seen::Same);
        assert_eq!(frames.receive(&[0, 0, 0, CONTINUATION, END_HEADERS, 0, 0, 0, 1]), Seen::Now(None));
    }

    #[test]
    fn a_piece_of_a_body_is_told_apart() {
        let mut frames = settled();
        assert_eq!(frames.receive(&[0, 0, 2, DATA]), Seen::Now(Some(Half::Frame)));
        assert_eq!(frames.receive(&[0, 0, 0, 0, 1, b'a']), Seen::Now(Some(Half::Data)));
        assert_eq!(frames.receive(b"b"), Seen::Now(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_a_second_are_no_flood() {
        let mut frames = settled();
        for _ in 0..100 {
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
            assert_eq!(frames.receive(&PING.repeat(99)), Seen::Same);
        }
        assert_eq!(frames.receive(&PING.repeat(1100)), Seen::Flood);
    }

    #[test]
    fn frames_of_answers_allow_for_more() {
        let mut frames = settled();
        for _ in 0..1000 {
            frames.send(&[0, 0, 1, DATA, 0, 0, 0, 0, 1, b'a']);
            assert_eq!(frames.receive(&PING.repeat(10)), Seen::Same);
        }
        for _ in 0..200 {
            // Acknowledging a PING allows for none.
            frames.send(&PING);
        }
        assert_eq!(frames.receive(&PING.repeat(1000)), Seen::Flood);
    }
}
