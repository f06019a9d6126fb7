//! Requests that h2 refuses with a reset of their stream get a 400, as they do in HTTP/1.
//!
//! A balancer counts resets against the replica, and a request that its own client malformed is no fault of the replica's.
//! h2 has no hook for it: it writes `RST_STREAM` with `PROTOCOL_ERROR` where a stream was never answered. So that frame is
//! replaced on its way to the socket, by a head with `:status 400` that ends the stream. It has no body, which would need a
//! window that h2 keeps.
//!
//! A head beyond twice `server.max_head` h2 itself answers, with a 431: that is counted here.
//!
//! Next: [`super::io`].

use bytes::{Buf, Bytes};

// RFC 9113, section 6.
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The frame that is replaced: a header, and an error code.
pub(super) const RESET: usize = 13;
const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
/// `:status: 400`, and `content-length: 0` without a place in the table (RFC 7541, appendix A).
const FIELDS: [u8; 5] = [0x8c, 0x0f, 0x0d, 1, b'0'];
/// 8 bytes: h2's own 431 is a `:status` alone, 5 bytes, with up to 3 for the size of the table. Ours have an id.
const BARE: usize = 8;
/// 512: twice our limit of streams. One more is reset, not answered.
const MOST: usize = 512;
/// h2 ends a connection at 1,024 resets of its own. Half of them, and the connection is asked to end before.
const WORN: u32 = 512;

/// The streams of one connection that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    open: Vec<Opened>,
    newest: u32,
    /// The block that is read begins a stream.
    begins: bool,
    /// Requests whose head was read whole since the last look.
    read: u32,
    refused: u32,
    /// Heads that h2 answered with 431 since the last look.
    oversized: u32,
    /// The peer made its table smaller: the next block must say that it was seen (RFC 7541, section 4.2), and that is h2's.
    is_resized: bool,
    /// That was seen.
    is_acknowledged: bool,
    /// What is written instead of a reset.
    out: Bytes,
}

#[derive(Clone, Copy, Debug)]
struct Opened {
    stream: u32,
    has_ended: bool,
}

impl Refusals {
    /// How many heads were read whole since the last look: h2 says nothing of one before its last byte.
    pub(super) fn take_read(&mut self) -> u32 {
        std::mem::take(&mut self.read)
    }

    /// How many heads were too large for h2 since the last look.
    pub(super) fn take_oversized(&mut self) -> u32 {
        std::mem::take(&mut self.oversized)
    }

    /// The peer sent a frame's header.
    pub(super) fn received(&mut self, kind: u8, flags: u8, stream: u32) {
        match kind {
            HEADERS if stream > self.newest => {
                self.newest = stream;
                self.begins = true;
                if self.open.len() < MOST {
                    self.open.push(Opened { stream, has_ended: flags & END_STREAM != 0 });
                }
            }
            RST_STREAM => self.forget(stream),
            _ => {}
        }
    }

    /// A header block is whole.
    pub(super) fn block_ended(&mut self) {
        self.read += u32::from(std::mem::take(&mut self.begins));
    }

    /// The peer sent SETTINGS: pairs of an identifier and a value. 1 is the size of its table, at first 4,096.
    /// None: they are torn, and may say so.
    pub(super) fn settings(&mut self, payload: Option<&[u8]>) {
        let is_smaller = |pair: &[u8]| pair[..2] == [0, 1] && pair[2..4] == [0, 0] && pair[4] < 0x10;
        if payload.is_none_or(|payload| payload.chunks_exact(6).any(is_smaller)) {
            (self.is_resized, self.is_acknowledged) = (true, false);
        }
    }

    /// A frame's header goes out, before so many bytes of payload.
    pub(super) fn sent(&mut self, kind: u8, flags: u8, stream: u32, length: usize) {
        let is_bare = kind == HEADERS && flags & END_STREAM != 0 && length <= BARE;
        self.oversized += u32::from(is_bare && self.open.iter().any(|open| open.stream == stream));
        self.is_acknowledged |= kind == SETTINGS && flags & ACK != 0;
        if matches!(kind, HEADERS | RST_STREAM) {
            // h2 says the new size in the first block behind its acknowledgement.
            self.is_resized &= kind != HEADERS || !self.is_acknowledged;
            self.forget(stream);
        }
    }

    /// Whether the frame at the start of `bytes` is to be written otherwise.
    pub(super) fn is_refusal(&self, bytes: &[u8]) -> bool {
        let Some(frame) = bytes.first_chunk::<RESET>() else { return false };
        frame[3] == RST_STREAM && frame[9..] == PROTOCOL_ERROR && !self.is_resized && self.place(frame).is_some()
    }

    /// Has it written otherwise. False if it is not to be.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> bool {
        let Some(at) = bytes.first_chunk().filter(|_| self.is_refusal(bytes)).and_then(|frame| self.place(frame))
        else {
            return false;
        };
        let opened = self.open.swap_remove(at);
        self.refused += 1;
        let mut out = write(HEADERS, END_STREAM | END_HEADERS, opened.stream, &FIELDS);
        if !opened.has_ended {
            // NO_ERROR: the rest of the request is not needed (RFC 9113, section 8.1).
            out.extend(write(RST_STREAM, 0, opened.stream, &[0; 4]));
        }
        self.out = out.into();
        true
    }

    fn place(&self, frame: &[u8; RESET]) -> Option<usize> {
        let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
        self.open.iter().position(|open| open.stream == stream)
    }

    /// What is being written instead of a frame.
    pub(super) fn out(&self) -> &Bytes {
        &self.out
    }

    /// So much of it was. Whether that was all.
    pub(super) fn advance(&mut self, count: usize) -> bool {
        self.out.advance(count);
        self.out.is_empty()
    }

    /// Whether h2 is about to end the connection for its resets.
    pub(super) fn is_worn(&self) -> bool {
        self.refused >= WORN
    }

    fn forget(&mut self, stream: u32) {
        if let Some(at) = self.open.iter().position(|open| open.stream == stream) {
            self.open.swap_remove(at);
        }
    }
}

fn write(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a few bytes");
    [&[0, 0, length, kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(stream: u32, code: u32) -> Vec<u8> {
        write(RST_STREAM, 0, stream, &code.to_be_bytes())
    }

    #[test]
    fn a_stream_that_was_never_answered_gets_a_400_once() {
        let mut refusals = Refusals::default();
        refusals.received(HEADERS, END_STREAM, 1);
        assert!(!refusals.replace(&reset(1, 2)), "another code");
        assert!(!refusals.replace(&reset(3, 1)), "another stream");
        assert!(refusals.replace(&reset(1, 1)));
        assert_eq!(refusals.out()[..], [&[0, 0, 5, 1, 5, 0, 0, 0, 1], &FIELDS[..]].concat()[..]);
        assert!(!refusals.advance(9) && refusals.advance(5));
        assert!(!refusals.replace(&reset(1, 1)), "again");
    }

    #[test]
    fn a_stream_that_was_answered_is_reset() {
        let mut refusals = Refusals::default();
        refusals.received(HEADERS, 0, 1);
        refusals.sent(HEADERS, END_HEADERS, 1, 40);
        // Its trailers.
        refusals.received(HEADERS, END_STREAM, 1);
        assert!(!refusals.replace(&reset(1, 1)));
    }

    #[test]
    fn a_bare_head_that_ends_an_unanswered_stream_is_h2s_own() {
        let mut refusals = Refusals::default();
        for (stream, length) in [(1, 5), (3, 40)] {
            refusals.received(HEADERS, 0, stream);
            // Once more where only a part of it was written.
            for _ in 0..2 {
                refusals.sent(HEADERS, END_STREAM | END_HEADERS, stream, length);
            }
        }
        assert_eq!(refusals.take_oversized(), 1);
        assert_eq!(refusals.take_oversized(), 0);
    }

    #[test]
    fn the_rest_of_a_request_that_goes_on_is_not_asked_for() {
        let mut refusals = Refusals::default();
        refusals.received(HEADERS, 0, 1);
        assert!(refusals.replace(&reset(1, 1)));
        assert!(refusals.out().ends_with(&reset(1, 0)));
    }

    #[test]
    fn a_table_that_became_smaller_is_told_of_by_h2_first() {
        // Torn SETTINGS may say so.
        for payload in [Some(&[0, 3, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0][..]), None] {
            let mut refusals = Refusals::default();
            refusals.settings(payload);
            for stream in [1, 3, 5] {
                refusals.received(HEADERS, END_STREAM, stream);
            }
            assert!(!refusals.replace(&reset(1, 1)));
            // Written before it was seen.
            refusals.sent(HEADERS, END_HEADERS, 3, 40);
            assert!(!refusals.replace(&reset(1, 1)));
            refusals.sent(SETTINGS, ACK, 0, 0);
            refusals.sent(HEADERS, END_HEADERS, 5, 40);
            assert!(refusals.replace(&reset(1, 1)));
        }
    }
}
