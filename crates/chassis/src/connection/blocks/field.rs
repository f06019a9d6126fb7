//! One field of a header block, as HPACK writes it (RFC 7541, section 6), and whether h2 takes it.
//!
//! Next: [`super::fields`].

use std::{borrow::Cow, str};

use http::{Method, StatusCode};

use super::huffman;

/// A representation, and what of the block is behind it.
#[derive(Debug)]
pub(super) enum Field<'a> {
    Indexed(usize),
    Resize,
    Literal {
        /// It gets a place in the table.
        is_kept: bool,
        /// Zero: the name is written out.
        index: usize,
        name: Text<'a>,
        value: Text<'a>,
    },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text<'a> {
    bytes: &'a [u8],
    is_coded: bool,
}

/// What a name asks of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Regular,
    /// A pseudo-header that is UTF-8.
    Target,
    Method,
    Status,
}

impl<'a> Field<'a> {
    /// Takes the next one off `block`. None: it is torn or no HPACK.
    pub(super) fn next(block: &mut &'a [u8]) -> Option<Self> {
        let first = *block.first()?;
        let (prefix, is_kept) = match first {
            0x80.. => return integer(block, 7).map(Self::Indexed),
            0x40.. => (6, true),
            0x20.. => return integer(block, 5).map(|_| Self::Resize),
            _ => (4, false),
        };
        let index = integer(block, prefix)?;
        let name = if index == 0 { text(block)? } else { Text::default() };
        Some(Self::Literal { is_kept, index, name, value: text(block)? })
    }

    /// Whether h2 ends the connection for it: the name or the value is none.
    pub(super) fn is_malformed(&self) -> bool {
        let Self::Literal { index, name, value, .. } = self else { return false };
        let kind = if *index > 0 {
            Some(kind_of_index(*index))
        } else {
            match name.decoded() {
                Some(name) => kind_of_name(&name),
                // No Huffman code: the connection's own error.
                None => return false,
            }
        };
        kind.is_none_or(|kind| !is_value(kind, *value))
    }
}

impl<'a> Text<'a> {
    pub(super) fn decoded(self) -> Option<Cow<'a, [u8]>> {
        if self.is_coded { huffman::decode(self.bytes).map(Cow::Owned) } else { Some(Cow::Borrowed(self.bytes)) }
    }

    /// Without a look at each letter of a coded one.
    fn is_plain(self) -> bool {
        if self.is_coded {
            !huffman::is_suspicious(self.bytes)
        } else {
            self.bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
        }
    }
}

/// The static table: RFC 7541, appendix A.
fn kind_of_index(index: usize) -> Kind {
    match index {
        2 | 3 => Kind::Method,
        1 | 4..=7 => Kind::Target,
        8..=14 => Kind::Status,
        _ => Kind::Regular,
    }
}

/// None: it is no name (RFC 9113, sections 8.2.1 and 8.3).
fn kind_of_name(name: &[u8]) -> Option<Kind> {
    match name {
        b":method" => Some(Kind::Method),
        b":authority" | b":scheme" | b":path" | b":protocol" => Some(Kind::Target),
        b":status" => Some(Kind::Status),
        name => (!name.is_empty() && name.iter().all(|byte| is_of_a_name(*byte))).then_some(Kind::Regular),
    }
}

/// A token in lower case.
const fn is_of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

fn is_value(kind: Kind, value: Text<'_>) -> bool {
    if matches!(kind, Kind::Regular | Kind::Target) && value.is_plain() {
        return true;
    }
    let Some(value) = value.decoded() else { return true };
    match kind {
        Kind::Regular => value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)),
        Kind::Target => str::from_utf8(&value).is_ok(),
        // hyper ends the connection at a CONNECT with a length; nothing here has a tunnel.
        Kind::Method => Method::from_bytes(&value).is_ok_and(|method| method != Method::CONNECT),
        Kind::Status => StatusCode::from_bytes(&value).is_ok(),
    }
}

/// RFC 7541, section 5.1. Beyond 4 bytes h2 refuses it.
fn integer(block: &mut &[u8], prefix: u32) -> Option<usize> {
    let most = (1 << prefix) - 1;
    let mut value = usize::from(*block.split_off_first()?) & most;
    if value < most {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = *block.split_off_first()?;
        value += usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn text<'a>(block: &mut &'a [u8]) -> Option<Text<'a>> {
    let is_coded = *block.first()? >= 0x80;
    let length = integer(block, 7)?;
    Some(Text { bytes: block.split_off(..length)?, is_coded })
}
