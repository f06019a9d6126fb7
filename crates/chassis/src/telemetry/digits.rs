//! Numbers as text, appended: itoa's digits, with the zeros and dots that a line needs.
//!
//! Next: [`super::json`].

use std::{net::Ipv4Addr, time::Duration};

use crate::request::hexadecimal as hexadecimal_digits;

/// Appends a whole number.
pub(super) fn unsigned(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends 32 lower-case hexadecimal digits.
#[inline]
pub(super) fn hexadecimal(out: &mut Vec<u8>, number: u128) {
    out.extend_from_slice(&hexadecimal_digits(number));
}

/// Appends seconds as `0.001235`: rounded to a microsecond, since the rest is noise, without the zeros at the end.
pub(super) fn seconds(out: &mut Vec<u8>, duration: Duration) {
    let micros = rounded(duration);
    unsigned(out, micros / 1_000_000);
    // With a digit in front, so that zeros at its beginning are written.
    let mut fraction = itoa::Buffer::new();
    let fraction = &fraction.format(1_000_000 + micros % 1_000_000).as_bytes()[1..];
    // The first digit stays.
    let zeros = fraction[1..].iter().rev().take_while(|&&digit| digit == b'0').count();
    out.push(b'.');
    out.extend_from_slice(&fraction[..fraction.len() - zeros]);
}

/// Appends `192.0.2.1`.
pub(super) fn dotted(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [first, rest @ ..] = address.octets();
    unsigned(out, first);
    for octet in rest {
        out.push(b'.');
        unsigned(out, octet);
    }
}

/// Whole microseconds, to the nearest.
pub(super) fn rounded(duration: Duration) -> u64 {
    // Without 128 bits, whose division is a call.
    let micros = u64::from((duration.subsec_nanos() + 500) / 1_000);
    duration.as_secs().saturating_mul(1_000_000).saturating_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_library_writes_them() {
        for number in [0, 7, 9, 10, 99, 100, 499, 999, 1_000, 65_536, u64::MAX] {
            assert_eq!(text(|out| unsigned(out, number)), number.to_string());
            assert_eq!(
                text(|out| hexadecimal(out, u128::from(number) << 60)),
                format!("{:032x}", u128::from(number) << 60)
            );
        }
        assert_eq!(text(|out| dotted(out, Ipv4Addr::new(192, 0, 2, 1))), "192.0.2.1");
    }

    #[test]
    fn seconds_are_rounded_to_a_microsecond() {
        for (nanos, expected) in [
            (0, "0.0"),
            (499, "0.0"),
            (500, "0.000001"),
            (1_234_567, "0.001235"),
            (250_000_000, "0.25"),
            (1_000_000_000, "1.0"),
            (61_999_999_600, "62.0"),
        ] {
            assert_eq!(text(|out| seconds(out, Duration::from_nanos(nanos))), expected);
        }
    }
}
