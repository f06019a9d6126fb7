//! Records: eight bytes, content, padding (FastCGI 1.0, section 3.3).
//!
//! Next: [`super::params`].

use bytes::{BufMut, Bytes, BytesMut};

pub(crate) const BEGIN_REQUEST: u8 = 1;
pub(crate) const ABORT_REQUEST: u8 = 2;
pub(crate) const END_REQUEST: u8 = 3;
pub(crate) const PARAMS: u8 = 4;
pub(crate) const STDIN: u8 = 5;
pub(crate) const STDOUT: u8 = 6;
pub(crate) const GET_VALUES: u8 = 9;
pub(crate) const GET_VALUES_RESULT: u8 = 10;
pub(crate) const UNKNOWN_TYPE: u8 = 11;

pub(crate) const RESPONDER: u16 = 1;
pub(crate) const KEEP_CONN: u8 = 1;

const VERSION: u8 = 1;
const HEADER: usize = 8;

/// 65,528: the longest content that needs no padding to stay aligned.
const LONGEST: usize = 65_528;

/// What came in one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    /// 0 for records of no request.
    pub(crate) id: u16,
    pub(crate) content: Bytes,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Status {
    Complete = 0,
    /// A second request on a connection that serves one at a time.
    CannotMultiplex = 1,
    UnknownRole = 3,
}

/// Not FastCGI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes the first record out of `buffer`; none if it is incomplete. It is 65,798 bytes at most.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Record>, Malformed> {
    let Some(&version) = buffer.first() else { return Ok(None) };
    if version != VERSION {
        return Err(Malformed);
    }
    let Some(header) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
    let &[_, kind, id_high, id_low, length_high, length_low, padding, _] = header;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let whole = HEADER + length + usize::from(padding);
    if buffer.len() < whole {
        return Ok(None);
    }
    let content = buffer.split_to(whole).freeze().slice(HEADER..HEADER + length);
    Ok(Some(Record { kind, id: u16::from_be_bytes([id_high, id_low]), content }))
}

/// Whether the record at the start of `buffer` ends the stream `kind` of request `id`.
pub(crate) fn ends(buffer: &[u8], kind: u8, id: u16) -> bool {
    let [id_high, id_low] = id.to_be_bytes();
    matches!(buffer.first_chunk::<HEADER>(), Some(&[VERSION, at, high, low, 0, 0, _, _]) if (at, high, low) == (kind, id_high, id_low))
}

/// A record without padding; `content` has at most 65,535 bytes.
pub(crate) fn put(out: &mut BytesMut, kind: u8, id: u16, content: &[u8]) {
    out.reserve(HEADER + content.len());
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u16(id);
    out.put_u16(u16::try_from(content.len()).expect("at most 65,535 bytes"));
    out.put_slice(&[0, 0]);
    out.put_slice(content);
}

/// A part of a stream, in as many records as it takes; an empty part would end the stream, and is left out.
pub(crate) fn put_stream(out: &mut BytesMut, kind: u8, id: u16, content: &[u8]) {
    content.chunks(LONGEST).for_each(|part| put(out, kind, id, part));
}

pub(crate) fn put_end(out: &mut BytesMut, id: u16, status: Status) {
    put(out, END_REQUEST, id, &[0, 0, 0, 0, status as u8, 0, 0, 0]);
}

/// An invalid record of any version: every peer treats the response as broken.
pub(crate) fn put_break(out: &mut BytesMut) {
    out.put_slice(&[0xff; HEADER]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_once_it_is_whole() {
        let bytes = [1, STDIN, 1, 2, 0, 3, 2, 9, b'a', b'b', b'c', 0, 0, 1];
        for cut in 0..13 {
            assert_eq!(take(&mut BytesMut::from(&bytes[..cut])), Ok(None), "{cut} bytes");
        }
        let mut buffer = BytesMut::from(&bytes[..]);
        let record = Record { kind: STDIN, id: 0x0102, content: Bytes::from_static(b"abc") };
        assert_eq!(take(&mut buffer), Ok(Some(record)));
        assert_eq!(&buffer[..], [1], "the next one stays");
    }

    #[test]
    fn another_version_is_no_record() {
        assert_eq!(take(&mut BytesMut::from(&b"GET / HTTP/1.1"[..])), Err(Malformed));
        assert_eq!(take(&mut BytesMut::from(&[0][..])), Err(Malformed));
    }

    #[test]
    fn a_long_stream_is_cut_into_records() {
        let (mut out, content) = (BytesMut::new(), vec![b'x'; 70_000]);
        put_stream(&mut out, STDOUT, 7, &content);
        put_stream(&mut out, STDOUT, 7, b"");
        let mut lengths = Vec::new();
        while let Some(record) = take(&mut out).expect("records") {
            lengths.push(record.content.len());
        }
        assert_eq!(lengths, [65_528, 4_472]);
    }

    #[test]
    fn the_end_of_a_stream_is_seen_in_the_buffer() {
        let mut out = BytesMut::new();
        put(&mut out, STDIN, 7, b"");
        assert!(ends(&out, STDIN, 7));
        assert!(!ends(&out, STDIN, 8));
        assert!(!ends(&out, PARAMS, 7));
        assert!(!ends(&out[..7], STDIN, 7));
    }
}
