//! The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B). It is canonical: the lengths say all of it.
//!
//! Next: [`super::field`].

/// Bits of each byte's code. That of the end is the last of 30 bits.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const LONGEST: usize = 30;

/// The bytes in the order of their codes.
const SYMBOLS: [u8; 256] = symbols();
/// How many codes each length has.
const COUNTS: [u32; LONGEST + 1] = counts();

#[expect(clippy::cast_possible_truncation, reason = "256 bytes")]
const fn symbols() -> [u8; 256] {
    let (mut symbols, mut next, mut length) = ([0; 256], 0, 0);
    while length <= LONGEST {
        let mut byte = 0;
        while byte < LENGTHS.len() {
            if LENGTHS[byte] as usize == length {
                symbols[next] = byte as u8;
                next += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    symbols
}

const fn counts() -> [u32; LONGEST + 1] {
    let (mut counts, mut byte) = ([0; LONGEST + 1], 0);
    while byte < LENGTHS.len() {
        counts[LENGTHS[byte] as usize] += 1;
        byte += 1;
    }
    counts
}

/// The text; none if it is no code.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes.len() * 8 / 5);
    // Of the symbol that has begun: its bits so far, the first code of their length, and the place of that code's symbol.
    let (mut code, mut first, mut place, mut length) = (0_u32, 0_u32, 0_u32, 0_usize);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1))) {
        (code, first, length) = (code << 1 | bit, first << 1, length + 1);
        if length > LONGEST {
            return None;
        }
        let count = COUNTS[length];
        if code < first + count {
            text.push(*SYMBOLS.get((place + code - first) as usize)?);
            (code, first, place, length) = (0, 0, 0, 0);
        } else {
            first += count;
            place += count;
        }
    }
    // The rest is padding: at most 7 bits, all of them ones.
    (length < 8 && code + 1 == 1 << length).then_some(text)
}

/// Whether a text may have a control character, or a byte beyond ASCII: only their codes begin with ten ones and have a zero.
pub(super) fn is_suspicious(bytes: &[u8]) -> bool {
    let mut ones = 0;
    for byte in bytes {
        let leading = byte.leading_ones();
        if leading == 8 {
            ones += 8;
            continue;
        }
        if ones + leading >= 10 {
            return true;
        }
        ones = byte.trailing_ones();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<u8> = text.iter().flat_map(|byte| code_of(*byte)).collect();
        while !bits.len().is_multiple_of(8) {
            bits.push(1);
        }
        bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
    }

    fn code_of(byte: u8) -> Vec<u8> {
        let (mut code, mut length) = (0_u32, 0_u8);
        for symbol in SYMBOLS {
            code = (code + u32::from(length > 0)) << (LENGTHS[usize::from(symbol)] - length);
            length = LENGTHS[usize::from(symbol)];
            if symbol == byte {
                break;
            }
        }
        (0..length).rev().map(|at| u8::from(code >> at & 1 == 1)).collect()
    }

    /// RFC 7541, appendix C.4.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&www).as_deref(), Some(&b"www.example.com"[..]));
        assert_eq!(encode(b"www.example.com"), www);
        assert_eq!(decode(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).as_deref(), Some(&b"no-cache"[..]));
        for wrong in [&[0xff][..], &[0xff; 4], &[0x07, 0xff, 0xff]] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_byte_is_read_and_the_suspicious_ones_are_seen_wherever_they_stand() {
        for byte in 0..=255 {
            for before in ["", "a", "ab9", "~~", "0123456", "zzzzzzz"] {
                let text = [before.as_bytes(), &[byte], b"a-z/?%&"].concat();
                let code = encode(&text);
                assert_eq!(decode(&code).as_deref(), Some(&text[..]));
                let must = byte != b'\t' && !(b' '..=b'~').contains(&byte);
                assert!(!must || is_suspicious(&code), "{byte} behind {before:?}");
                assert!(!must || is_suspicious(&encode(&text[..=before.len()])), "{byte} at the end");
            }
        }
        assert!(!is_suspicious(&encode(b"/v1/quotes?from=DE&weight=1200-99")));
    }
}
