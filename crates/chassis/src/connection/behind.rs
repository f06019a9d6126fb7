//! What follows a request head of HTTP/1 is held back until its request says whether it is a body, and which.
//!
//! So a chunked body can be checked on its way to hyper from its first byte, and the head behind a body begins here, where
//! it counts, and not in hyper's buffer; without a second parser of heads: hyper finds the end of a head, and only an empty
//! line can be one. A plain GET costs a few comparisons.
//!
//! A chunked request that was not held back, as the second of two that came at once, is the last of its connection: what
//! hyper takes for its end cannot become another request.
//!
//! Next: [`super::chunks`].

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use bytes::{Buf, Bytes};
use memchr::memchr;
use tokio::io::ReadBuf;

use super::{
    chunks::{Chunks, Found},
    closed::Closed,
    heads::FREE,
    state::{Phase, State},
};

/// What the socket and the service of a connection tell each other about bodies.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    /// What was passed on ends with an empty line, and nothing that came behind it was.
    is_cut: AtomicBool,
    /// The length of the body of the head that ended there, or [`CHUNKED`]; zero if it has none.
    expected: AtomicU64,
}

/// Longer than the longest body.
const CHUNKED: u64 = u64::MAX;

impl Bodies {
    /// A body of this length begins, or a chunked one. Returns whether its end will be found.
    pub(super) fn expect(&self, length: Option<u64>) -> bool {
        // A body that is not cut from its head came with at most `FREE` bytes: so much may be passed on behind its end.
        let is_found = length.is_some() || self.is_cut.load(Relaxed);
        self.expected.store(if is_found { length.unwrap_or(CHUNKED) } else { 0 }, Relaxed);
        is_found
    }
}

/// What was held back of a connection, and how its next bytes are read.
#[derive(Debug)]
pub(crate) struct Behind {
    held: Bytes,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// A head, up to the next empty line.
    Head(Line),
    /// Behind an empty line: hyper has now seen whether it ended a head.
    Cut,
    Chunks(Chunks),
    /// A body of which so many bytes are missing.
    Sized(u64),
    /// Of another protocol, or of nothing that is known.
    Free,
    Broken,
}

/// The line of a head that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    Cr,
    Filled,
}

/// Holds back what of the bytes from `start` on is behind a head, or is wrong in a chunked body.
pub(super) fn hold(
    behind: &mut Option<Box<Behind>>,
    state: &State,
    start: usize,
    buf: &mut ReadBuf<'_>,
) -> io::Result<()> {
    if behind.is_none() {
        let bytes = &buf.filled()[start..];
        let (is_cut, expected) = (state.bodies.is_cut.load(Relaxed), state.bodies.expected.load(Relaxed));
        let is_head =
            expected == 0 && bytes.len() <= FREE && bytes.starts_with(b"GET ") && bytes.ends_with(b"\r\n\r\n");
        if is_head || state.phase() == Phase::Upgraded || !is_cut && expected == 0 && state.phase() == Phase::Busy {
            if is_cut {
                state.bodies.is_cut.store(false, Relaxed);
            }
            return Ok(());
        }
        let mode = if is_cut || expected > 0 { Mode::Cut } else { Mode::Head(Line::Empty) };
        *behind = Some(Box::new(Behind { held: Bytes::new(), mode }));
    }
    let Some(guard) = behind else { return Ok(()) };
    let passed = guard.pass(state, &mut buf.filled_mut()[start..]);
    guard.held = Bytes::copy_from_slice(&buf.filled()[start + passed..]);
    buf.set_filled(start + passed);
    finish(behind, passed)
}

/// Passes on what was held back. False if nothing is.
pub(super) fn release(behind: &mut Option<Box<Behind>>, state: &State, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
    let Some(guard) = behind else { return Ok(false) };
    if guard.held.is_empty() {
        return finish(behind, 0).map(|()| false);
    }
    let start = buf.filled().len();
    buf.put_slice(&guard.held[..guard.held.len().min(buf.remaining())]);
    let passed = guard.pass(state, &mut buf.filled_mut()[start..]);
    guard.held.advance(passed);
    buf.set_filled(start + passed);
    finish(behind, passed)?;
    Ok(true)
}

/// An error once everything before it was passed on. What has nothing to remember is dropped.
fn finish(behind: &mut Option<Box<Behind>>, passed: usize) -> io::Result<()> {
    let Some(guard) = behind else { return Ok(()) };
    match guard.mode {
        Mode::Broken if passed == 0 => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the chunked body is malformed"));
        }
        Mode::Head(Line::Empty) | Mode::Cut | Mode::Free if guard.held.is_empty() => *behind = None,
        _ => {}
    }
    Ok(())
}

impl Behind {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many of `bytes` hyper gets now; not zero, unless the first of them is wrong.
    fn pass(&mut self, state: &State, bytes: &mut [u8]) -> usize {
        if matches!(self.mode, Mode::Cut) {
            self.mode = match (state.phase(), state.bodies.expected.swap(0, Relaxed)) {
                (_, CHUNKED) => Mode::Chunks(Chunks::default()),
                (Phase::Busy, length @ 1..) => Mode::Sized(length),
                (Phase::Busy | Phase::Upgraded, _) => Mode::Free,
                _ => Mode::Head(Line::Empty),
            };
        }
        state.bodies.is_cut.store(false, Relaxed);
        match &mut self.mode {
            Mode::Head(line) => {
                // The rest of a line is none.
                let from =
                    if *line == Line::Empty { 0 } else { memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1) };
                let end = line.end(bytes);
                let to = end.unwrap_or(bytes.len());
                bound_length(&mut bytes[from..to]);
                if end.is_some() {
                    state.bodies.is_cut.store(true, Relaxed);
                    self.mode = Mode::Cut;
                }
                to
            }
            Mode::Chunks(chunks) => match chunks.walk(bytes) {
                Found::Body => bytes.len(),
                Found::End(end) => {
                    self.mode = Mode::Head(Line::Empty);
                    end
                }
                Found::Bad(at) => {
                    self.mode = Mode::Broken;
                    state.set_closing(Closed::Malformed);
                    state.set_unread();
                    at
                }
            },
            Mode::Sized(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.mode = Mode::Head(Line::Empty);
                }
                taken
            }
            Mode::Cut | Mode::Free => bytes.len(),
            Mode::Broken => 0,
        }
    }
}

impl Line {
    /// The end of the first empty line.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut start = 0;
        while let Some(length) = memchr(b'\n', &bytes[start..]) {
            let line = std::mem::replace(self, Self::Empty).with(&bytes[start..start + length]);
            start += length + 1;
            if line != Self::Filled {
                // A run of empty lines goes at once: each part that hyper gets has it read all of them again.
                let more = bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                return Some(start + more);
            }
        }
        *self = self.with(&bytes[start..]);
        None
    }

    fn with(self, more: &[u8]) -> Self {
        match (self, more) {
            (line, []) => line,
            (Self::Empty, [b'\r']) => Self::Cr,
            _ => Self::Filled,
        }
    }
}

/// The longest body that hyper takes. Its parser calls a longer one a malformed head; of this one our limit says 413.
const LONGEST: &[u8; 20] = b"18446744073709551613";

/// Writes [`LONGEST`] over a `Content-Length` beyond it, which has as many digits or more.
fn bound_length(head: &mut [u8]) {
    const NAME: &[u8] = b"content-length:";
    let mut rest = head;
    while let Some(end) = memchr(b'\n', rest) {
        let (line, more) = std::mem::take(&mut rest).split_at_mut(end);
        rest = &mut more[1..];
        if line.len() < NAME.len() + LONGEST.len() || !line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            continue;
        }
        let value = &mut line[NAME.len()..];
        let from = value.len() - value.trim_ascii_start().len();
        let to = value.trim_ascii_end().len();
        let digits = &mut value[from..to];
        let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
        let is_number = digits.iter().all(u8::is_ascii_digit);
        if is_number && (digits.len() - zeros, &digits[zeros..]) > (LONGEST.len(), &LONGEST[..]) {
            let (before, last) = digits.split_at_mut(digits.len() - LONGEST.len());
            before.fill(b'0');
            last.copy_from_slice(LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What hyper gets of a head that comes in `parts`, and in how many pieces.
    fn passed(parts: &[&str]) -> (String, usize) {
        let (state, mut behind) = (State::new(), Behind { held: Bytes::new(), mode: Mode::Head(Line::Empty) });
        let (mut text, mut pieces) = (Vec::new(), 0);
        for part in parts {
            let mut bytes = part.as_bytes().to_vec();
            let mut rest = bytes.as_mut_slice();
            while !rest.is_empty() {
                let count = behind.pass(&state, rest);
                let (now, later) = rest.split_at_mut(count);
                text.extend_from_slice(now);
                (rest, pieces) = (later, pieces + 1);
            }
        }
        (String::from_utf8(text).expect("a head"), pieces)
    }

    #[test]
    fn a_length_beyond_64_bits_is_bounded_wherever_its_head_is_cut() {
        let (head, length) = ("POST / HTTP/1.1\r\n", "Content-Length: 99999999999999999999\r\n");
        let bounded = format!("{head}Content-Length: 18446744073709551613\r\n\r\n");
        let whole = format!("{head}{length}\r\n");
        for parts in [&[whole.as_str()][..], &[head, length, "\r\n"], &[&whole[..whole.len() - 2], "\r\n"]] {
            assert_eq!(passed(parts).0, bounded, "{parts:?}");
        }
        // A name that only ends like it.
        assert_eq!(passed(&["POST / HTTP/1.1\r\nX-", length, "\r\n"]).0, format!("{head}X-{length}\r\n"));
    }

    /// hyper reads all that it has again for each piece: 40,000 of them would take it seconds.
    #[test]
    fn empty_lines_before_a_head_are_one_piece() {
        for line in ["\n", "\r\n"] {
            assert_eq!(passed(&[&line.repeat(20_000)]).1, 1, "{line:?}");
        }
    }
}
