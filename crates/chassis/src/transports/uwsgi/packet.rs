//! The variables of a request: four bytes, then at most 64 KiB of pairs. All its numbers are little-endian.
//!
//! Next: [`super::stdin`].

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::transports::cgi::Pair;

/// 4 KiB: most blocks are shorter.
const FIRST: usize = 4 * 1024;

/// A block of variables.
#[derive(Debug)]
pub(crate) struct Packet(Vec<u8>);

/// Lengths beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Packet {
    /// Reads one; none if the peer closed without sending anything.
    ///
    /// # Errors
    /// `InvalidData` for another modifier, `UnexpectedEof` for a partial block, and socket errors.
    pub(super) async fn read<R: AsyncRead + Unpin>(read: &mut R) -> io::Result<Option<Self>> {
        let mut first = [0; 1];
        if read.read(&mut first).await? == 0 {
            return Ok(None);
        }
        let mut rest = [0; 3];
        read.read_exact(&mut rest).await?;
        let ([modifier], [low, high, _]) = (first, rest);
        if modifier != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = u16::from_le_bytes([low, high]);
        // Memory for what came, not for what is announced.
        let mut block = Vec::with_capacity(usize::from(length).min(FIRST));
        read.take(length.into()).read_to_end(&mut block).await?;
        if block.len() < usize::from(length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self(block)))
    }

    pub(super) fn pairs(&self) -> Result<Vec<Pair<'_>>, Malformed> {
        pairs(&self.0)
    }
}

/// The pairs in `bytes`, to the last byte.
///
/// # Errors
/// Lengths beyond the end.
pub(crate) fn pairs(mut bytes: &[u8]) -> Result<Vec<Pair<'_>>, Malformed> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let name = text(&mut bytes)?;
        pairs.push((name, text(&mut bytes)?));
    }
    Ok(pairs)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, rest) = bytes.split_first_chunk::<2>().ok_or(Malformed)?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or(Malformed)?;
    *bytes = rest;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_to_the_last_byte() {
        assert_eq!(pairs(b"\x01\x00A\x02\x00bc\x00\x00\x00\x00"), Ok(vec![(&b"A"[..], &b"bc"[..]), (b"", b"")]));
        for bad in [&b"\x01"[..], b"\x01\x00", b"\x01\x00A", b"\x01\x00A\x02\x00b", b"\xff\xff"] {
            assert_eq!(pairs(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_block_is_read_whole_or_not_at_all() {
        let whole = b"\x00\x06\x00\x00\x01\x00A\x01\x00b";
        let packet = Packet::read(&mut &whole[..]).await.expect("reads").expect("a packet");
        assert_eq!(packet.pairs(), Ok(vec![(&b"A"[..], &b"b"[..])]));
        assert!(Packet::read(&mut &b""[..]).await.expect("reads").is_none());
        for cut in 1..whole.len() {
            let error = Packet::read(&mut &whole[..cut]).await.expect_err("half of one");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut} bytes");
        }
        let error = Packet::read(&mut &b"GET / HTTP/1.1"[..]).await.expect_err("no uwsgi");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
