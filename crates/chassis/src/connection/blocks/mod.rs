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
//! Next: [`fields`].

mod field;
mod fields;
mod huffman;

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use self::fields::{Fields, Verdict};

/// RFC 9113, section 4.1.
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;
/// The longest frame that we allow: the default of RFC 9113.
const LONGEST: usize = 16 * 1024;
/// h2 takes five CONTINUATION frames of our heads; more of them are its to refuse.
const MOST_FRAMES: usize = 6;
/// 64 KiB: twice the default of `server.max_head`, as h2 is told. That much waits here until the block is whole.
const MOST: usize = 64 * 1024;

/// What has been read of one connection.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    fields: Fields,
    /// Bytes of a frame that is passed on.
    passing: usize,
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
        count > 0
    }

    /// The peer is done: what it left torn is h2's. False if there is nothing.
    pub(super) fn end(&mut self) -> bool {
        self.ready.extend_from_slice(&std::mem::take(&mut self.held));
        !self.ready.is_empty()
    }

    fn advance(&mut self) {
        let held = std::mem::take(&mut self.held);
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
        self.held = rest.to_vec();
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
            self.passing = HEAD + frame.length;
        }
        let count = self.passing.min(bytes.len());
        self.passing -= count;
        Step::Pass(count)
    }

    /// The block that begins with `frame`.
    fn block(&mut self, frame: &Frame, bytes: &[u8]) -> Step {
        if frame.flags & END_HEADERS == 0 {
            return match joined(frame, bytes) {
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

/// The fields of a block that goes on in CONTINUATION frames.
fn joined(first: &Frame, bytes: &[u8]) -> Joined {
    let end = HEAD + first.length;
    let Some(payload) = bytes.get(HEAD..end) else { return Joined::More };
    let Some(mut fields) = first.fields(payload).map(<[u8]>::to_vec) else { return Joined::Never };
    let mut at = end;
    for _ in 0..MOST_FRAMES {
        let Some(frame) = bytes.get(at..).and_then(Frame::read) else { return Joined::More };
        let is_more = frame.kind == CONTINUATION && bytes[at + 5..at + HEAD] == bytes[5..HEAD];
        if !is_more || fields.len() + frame.length > MOST {
            return Joined::Never;
        }
        let end = at + HEAD + frame.length;
        let Some(payload) = bytes.get(at + HEAD..end) else { return Joined::More };
        fields.extend_from_slice(payload);
        at = end;
        if frame.flags & END_HEADERS != 0 {
            return Joined::Whole(fields, at);
        }
    }
    Joined::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(stream: u8, fields: &[u8]) -> Vec<u8> {
        let length = u8::try_from(fields.len()).expect("a short block");
        [&[0, 0, length, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, stream], fields].concat()
    }

    /// What h2 gets of `bytes`, which come in two parts.
    fn passed(blocks: &mut Blocks, bytes: &[u8], cut: usize) -> Vec<u8> {
        let mut passed = Vec::new();
        for part in [&bytes[..cut], &bytes[cut..]] {
            let mut room = [0; 256];
            let mut buf = ReadBuf::new(&mut room);
            buf.put_slice(part);
            blocks.take(0, &mut buf);
            passed.extend_from_slice(buf.filled());
            loop {
                let mut buf = ReadBuf::new(&mut room);
                if !blocks.give(&mut buf) {
                    break;
                }
                passed.extend_from_slice(buf.filled());
            }
        }
        passed
    }

    /// A block is checked once, however it comes: what it puts into the table counts once.
    #[test]
    fn a_field_from_before_a_malformed_one_stays_right() {
        let get = [0x82, 0x86, 0x84];
        let literal = |name: u8| [&get[..], &[0x40, 1, name, 1, b'a']].concat();
        let right = headers(1, &literal(b'x'));
        let malformed = headers(3, &literal(b'X'));
        // Two back: the first one's.
        let again = headers(5, &[&get[..], &[0xbf]].concat());
        let bytes = [&right[..], &malformed, &again].concat();
        for cut in 0..=bytes.len() {
            let passed = passed(&mut Blocks::default(), &bytes, cut);
            assert!(passed.starts_with(&right), "cut at {cut}");
            assert!(passed.ends_with(&again), "cut at {cut}: {passed:x?}");
        }
    }
}
