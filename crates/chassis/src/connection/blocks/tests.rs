//! Blocks, wherever the network cuts them.

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
        let passed = passed(&mut Blocks::new(32 * 1024), &bytes, cut);
        assert!(passed.starts_with(&right), "cut at {cut}");
        assert!(passed.ends_with(&again), "cut at {cut}: {passed:x?}");
    }
}

/// A head of 104 KB in frames of 16 KiB, whose last field is `last`.
fn long(last: &[u8]) -> Vec<u8> {
    let get = [0x82, 0x86, 0x84, 0x01, 1, b'a'];
    let field = [&[0, 1, b'x', 100][..], &[b'a'; 100]].concat();
    let fields = [&get[..], &field.repeat(1_000), last].concat();
    let mut out = Vec::new();
    let count = fields.chunks(LONGEST).count();
    for (at, part) in fields.chunks(LONGEST).enumerate() {
        let [high, low] = u16::try_from(part.len()).expect("16 KiB").to_be_bytes();
        let (kind, flags) = if at == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
        out.extend([0, high, low, kind, if at + 1 == count { flags | END_HEADERS } else { flags }, 0, 0, 0, 1]);
        out.extend_from_slice(part);
    }
    out
}

/// What h2 gets of `bytes`, which come in pieces of `size`.
fn pieces(blocks: &mut Blocks, bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.chunks(size).flat_map(|piece| passed(blocks, piece, 0)).collect()
}

#[test]
fn a_long_block_that_comes_in_single_bytes_is_checked_too() {
    let right = long(&[]);
    let malformed = long(&[0, 1, b'X', 1, b'a']);
    for size in [1, 200] {
        assert!(pieces(&mut Blocks::new(64 * 1024), &right, size) == right, "{size}");
        let passed = pieces(&mut Blocks::new(64 * 1024), &malformed, size);
        assert!(passed != malformed && passed.ends_with(b"\0\x02te\x01x"), "{size}");
    }
    // h2 refuses it for its size.
    assert!(pieces(&mut Blocks::new(32 * 1024), &malformed, 200) == malformed);
}

/// It would cost the connection at the 101st; any other DATA is h2's.
#[test]
fn an_empty_part_of_a_body_is_dropped() {
    let data = |length: u8, flags, stream| {
        let payload = vec![0; length.into()];
        [&[0, 0, length, DATA, flags, 0, 0, 0, stream], &payload[..]].concat()
    };
    let (head, hollow) = (headers(1, &[0x82, 0x86, 0x84]), data(0, 0, 1));
    let kept = [data(1, 0, 1), data(1, PADDED, 1), data(0, 0, 0), data(0, END_STREAM, 1)].concat();
    let bytes = [&head[..], &hollow, &kept, &hollow, &hollow].concat();
    for cut in 0..=bytes.len() {
        let passed = passed(&mut Blocks::new(32 * 1024), &bytes, cut);
        assert!(passed == [&head[..], &kept].concat(), "cut at {cut}");
    }
    // Within a block it is an error of the connection.
    let torn = [&[0, 0, 1, HEADERS, 0, 0, 0, 0, 1, 0x82][..], &hollow].concat();
    assert!(passed(&mut Blocks::new(32 * 1024), &torn, 0) == torn);
}

#[test]
fn a_long_block_leaves_no_memory_behind() {
    let mut blocks = Blocks::new(64 * 1024);
    pieces(&mut blocks, &long(&[]), 200);
    assert_eq!((blocks.held.capacity(), blocks.ready.capacity()), (0, 0));
}
