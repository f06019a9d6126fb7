//! Name-value pairs: two lengths of one or four bytes each, then the name, then the value (FastCGI 1.0, section 3.4).
//!
//! Next: [`super::reader`].

use bytes::{BufMut, BytesMut};

use super::record::Malformed;
use crate::transports::cgi::Pair;

/// The pairs in `bytes`, to the last byte.
///
/// # Errors
/// Lengths beyond the end.
pub(crate) fn read(mut bytes: &[u8]) -> Result<Vec<Pair<'_>>, Malformed> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let name = length(&mut bytes)?;
        let value = length(&mut bytes)?;
        pairs.push((split(&mut bytes, name)?, split(&mut bytes, value)?));
    }
    Ok(pairs)
}

fn length(bytes: &mut &[u8]) -> Result<usize, Malformed> {
    let &[first, ..] = *bytes else { return Err(Malformed) };
    if first < 0x80 {
        split(bytes, 1)?;
        return Ok(usize::from(first));
    }
    let long = *bytes.first_chunk::<4>().ok_or(Malformed)?;
    split(bytes, 4)?;
    usize::try_from(u32::from_be_bytes(long) & 0x7fff_ffff).map_err(|_| Malformed)
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (front, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(front)
}

/// Appends a pair of short texts.
pub(crate) fn put(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    for part in [name, value] {
        out.put_u8(u8::try_from(part.len()).ok().filter(|length| *length < 0x80).expect("a short text"));
    }
    out.put_slice(name);
    out.put_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_lengths_are_read() {
        let mut bytes = vec![1, 2, b'A', b'b', b'c', 0, 0, 0x80, 0, 0, 200, 0x80, 0, 0, 1];
        bytes.extend([b'N'; 200]);
        bytes.push(b'v');
        let pairs = read(&bytes).expect("pairs");
        assert_eq!(pairs, [(&b"A"[..], &b"bc"[..]), (&b""[..], &b""[..]), (&[b'N'; 200][..], &b"v"[..])]);
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        for bad in [&[1][..], &[1, 1, b'A'], &[0x80], &[0xff, 0xff, 0xff, 0xff, 1, b'A'], &[0, 0x80, 0, 0]] {
            assert_eq!(read(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn what_is_put_is_read() {
        let mut out = BytesMut::new();
        put(&mut out, b"FCGI_MPXS_CONNS", b"0");
        assert_eq!(read(&out).expect("pairs"), [(&b"FCGI_MPXS_CONNS"[..], &b"0"[..])]);
    }
}
