//! The header blocks of an HTTP/2 connection, read on their way to h2.
//!
//! A malformed request ends its own stream (RFC 9113, section 8.1.1): behind a proxy, the other streams of the connection are
//! other clients'. h2 ends the connection where a name or a value is none (`hpack::header::Header::new`), as it stops in
//! the middle of the block and its table is lost, and where it refuses a block before all of its frames are there
//! (`decode_frame`). So such a block is written anew here, in one frame, with fields that h2 answers with a reset of the
//! stream.
//!
//! A block of more than 16 KiB stays in several frames, as h2 takes no longer one: there it refuses what is malformed as a request,
//! not as a field, at the first frame, and the connection ends.
//!
//! A block that is whole and well formed is not copied; one that is torn waits here for its rest.
//!
//! DATA without a byte that does not end its stream says nothing, and is dropped: h2 ends a connection at the 101st of its
//! life, whoever sent them (`MAX_RECV_EMPTY_DATA_FRAMES`), and a client that flushes an empty part may send one for each
//! request. [`super::frames`] bounds their rate. An empty one with padding is h2's, since padding takes of the window.
//!
//! Next: [`fields`].

mod field;
mod fields;
mod huffman;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use self::fields::{Fields, Verdict};

/// RFC 9113, section 4.1.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;
/// The longest frame that we allow: the default of RFC 9113.
const LONGEST: usize = 16 * 1024;
/// h2 takes that many CONTINUATION frames of any block, or a quarter more than the longest head needs; what is beyond it is
/// its to refuse.
const FRAMES: usize = 5;

/// What has been read of one connection.
#[derive(Debug)]
pub(super) struct Blocks {
    fields: Fields,
    /// Twice `server.max_head`, as h2 is told. That much waits here until the block is whole.
    most: usize,
    /// Bytes of a frame that is passed on.
    passing: usize,
    /// A block that is not checked goes on: what comes in between is h2's to refuse.
    in_block: bool,
    /// From the first byte of a frame on.
    held: Vec<u8>,
    /// To be passed on before anything else.
    ready: BytesMut,
}

/// What to do with the first bytes.
enum Step {
    Pass(usize),
    /// The rest of the block has not come.
    Wait,
    /// Instead of so many bytes, pass on these.
    Replace(usize, Vec<u8>),
}

impl Blocks {
    pub(super) fn new(max_head: usize) -> Self {
        let (fields, held, ready) = Default::default();
        Self { fields, most: 2 * max_head, passing: 0, in_block: false, held, ready }
    }

    /// Takes the bytes of `buf` from `start` on, and leaves those that h2 may have now.
    pub(super) fn take(&mut self, start: usize, buf: &mut ReadBuf<'_>) {
        let mut at = start;
        if self.held.is_empty() {
            let mut behind = at;
            while behind < buf.filled().len() {
                match self.step(&buf.filled()[behind..]) {
                    Step::Pass(count) => behind += count,
                    Step::Wait => break,
                    // Not once more: what it kept counts once.
                    Step::Replace(count, bytes) => {
                        self.ready.extend_from_slice(&bytes);
                        at = behind;
                        behind += count;
                        break;
                    }
                }
                at = behind;
            }
            if at == buf.filled().len() {
                return;
            }
            self.held.extend_from_slice(&buf.filled()[behind..]);
        } else {
            self.held.extend_from_slice(&buf.filled()[at..]);
        }
        buf.set_filled(at);
        self.advance();
    }

    /// Gives what is ready. False if nothing is.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let count = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready[..count]);
        self.ready.advance(count);
        if count > 0 && self.ready.is_empty() {
            // Not kept for the life of the connection: it may have been a long block.
            self.ready = BytesMut::new();
        }
        count > 0
    }

    /// The peer is done: what it left torn is h2's. False if there is nothing.
    pub(super) fn end(&mut self) -> bool {
        self.ready.extend_from_slice(&std::mem::take(&mut self.held));
        !self.ready.is_empty()
    }

    fn advance(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while !rest.is_empty() {
            match self.step(rest) {
                Step::Pass(count) => self.ready.extend_from_slice(rest.split_off(..count).unwrap_or_default()),
                Step::Replace(count, bytes) => {
                    self.ready.extend_from_slice(&bytes);
                    rest = &rest[count..];
                }
                Step::Wait => break,
            }
        }
        if rest.is_empty() {
            return;
        }
        let done = held.len() - rest.len();
        held.drain(..done);
        self.held = held;
    }

    fn step(&mut self, bytes: &[u8]) -> Step {
        if self.passing == 0 {
            let Some(frame) = Frame::read(bytes) else { return Step::Wait };
            if frame.kind == HEADERS && frame.length <= LONGEST {
                match self.block(&frame, bytes) {
                    Step::Pass(_) => {}
                    step => return step,
                }
            }
            if frame.is_hollow(bytes) && !self.in_block {
                return Step::Replace(HEAD, Vec::new());
            }
            if matches!(frame.kind, HEADERS | CONTINUATION) {
                self.in_block = frame.flags & END_HEADERS == 0;
            }
            self.passing = HEAD + frame.length;
        }
        let count = self.passing.min(bytes.len());
        self.passing -= count;
        Step::Pass(count)
    }

    /// The block that begins with `frame`.
    fn block(&mut self, frame: &Frame, bytes: &[u8]) -> Step {
        if frame.flags & END_HEADERS == 0 {
            return match joined(frame, bytes, self.most) {
                Joined::More => Step::Wait,
                Joined::Never => {
                    // It is read by h2 alone, so what is known of the table is out of date.
                    self.fields = Fields::default();
                    Step::Pass(0)
                }
                Joined::Whole(fields, end) => match self.fields.check(&fields) {
                    Verdict::Fine if fields.len() > LONGEST => Step::Pass(0),
                    Verdict::Fine => frame.with(&fields, bytes, end),
                    Verdict::Anew(fields) => frame.with(&fields, bytes, end),
                },
            };
        }
        let end = HEAD + frame.length;
        let Some(payload) = bytes.get(HEAD..end) else { return Step::Wait };
        let Some(fields) = frame.fields(payload) else { return Step::Pass(0) };
        match self.fields.check(fields) {
            // h2 resets such a stream before it has read the block.
            Verdict::Fine if frame.depends_on_itself(bytes) => frame.with(fields, bytes, end),
            Verdict::Fine => Step::Pass(0),
            Verdict::Anew(fields) => frame.with(&fields, bytes, end),
        }
    }
}

/// A frame's header.
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, _, _, _, _] = *bytes.first_chunk::<HEAD>()?;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        Some(Self { length, kind, flags })
    }

    /// The fields of a HEADERS frame, between its priority and its padding (RFC 9113, section 6.2).
    fn fields<'a>(&self, mut payload: &'a [u8]) -> Option<&'a [u8]> {
        let padding = if self.flags & PADDED == 0 { 0 } else { usize::from(*payload.split_off_first()?) };
        if self.flags & PRIORITY != 0 {
            payload.split_off(..5)?;
        }
        payload.get(..payload.len().checked_sub(padding)?)
    }

    /// Whether it is empty DATA of a stream that goes on.
    fn is_hollow(&self, bytes: &[u8]) -> bool {
        self.kind == DATA && self.length == 0 && self.flags & END_STREAM == 0 && bytes[5..HEAD] != [0; 4]
    }

    fn depends_on_itself(&self, bytes: &[u8]) -> bool {
        let parent = HEAD + usize::from(self.flags & PADDED != 0);
        let number = |at: usize| bytes.get(at..at + 4).map(|number| (number[0] & 0x7f, &number[1..]));
        self.flags & PRIORITY != 0 && number(parent) == number(5)
    }

    /// One frame with all of `fields`, or as few as take them, instead of those in `bytes` up to `end`.
    fn with(&self, fields: &[u8], bytes: &[u8], end: usize) -> Step {
        let mut out = Vec::with_capacity(fields.len() + HEAD);
        let (mut kind, mut flags, mut rest) = (HEADERS, self.flags & END_STREAM, fields);
        while flags & END_HEADERS == 0 {
            let (part, behind) = rest.split_at(rest.len().min(LONGEST));
            flags |= if behind.is_empty() { END_HEADERS } else { 0 };
            let [high, low] = u16::try_from(part.len()).expect("at most 16 KiB").to_be_bytes();
            out.extend([0, high, low, kind, flags]);
            out.extend_from_slice(&bytes[5..HEAD]);
            out.extend_from_slice(part);
            (kind, rest) = (CONTINUATION, behind);
            flags &= END_HEADERS;
        }
        Step::Replace(end, out)
    }
}

enum Joined {
    More,
    /// It is too long, or something else stands in it.
    Never,
    /// All fields, and the end of their last frame.
    Whole(Vec<u8>, usize),
}

/// The fields of a block that goes on in CONTINUATION frames. Only their headers are looked at until the last one is there: a
/// peer may send a byte at a time.
fn joined(first: &Frame, bytes: &[u8], most: usize) -> Joined {
    let end = HEAD + first.length;
    let Some(payload) = bytes.get(HEAD..end) else { return Joined::More };
    let Some(fields) = first.fields(payload) else { return Joined::Never };
    let (mut parts, mut length, mut at) = (vec![fields], fields.len(), end);
    let needed = most / LONGEST;
    // One more than h2 takes.
    for _ in 0..=FRAMES.max(needed + needed / 4) {
        let Some(frame) = bytes.get(at..).and_then(Frame::read) else { return Joined::More };
        let is_more = frame.kind == CONTINUATION && bytes[at + 5..at + HEAD] == bytes[5..HEAD];
        length += frame.length;
        if !is_more || length > most {
            return Joined::Never;
        }
        let end = at + HEAD + frame.length;
        let Some(payload) = bytes.get(at + HEAD..end) else { return Joined::More };
        parts.push(payload);
        at = end;
        if frame.flags & END_HEADERS != 0 {
            return Joined::Whole(parts.concat(), at);
        }
    }
    Joined::Never
}

#[cfg(test)]
mod tests;
