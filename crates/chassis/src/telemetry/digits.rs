//! Number formatting by hand: `write!` costs several times as much, and every request has several numbers.
//!
//! Next: [`super::json`].

use std::{net::Ipv4Addr, time::Duration};

use crate::request::hexadecimal as hexadecimal_digits;

/// Appends a whole number.
pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    match number {
        0..10 => out.push(digit(number)),
        10..100 => padded::<2>(out, number),
        100..1_000 => padded::<3>(out, number),
        _ => long(out, number),
    }
}

fn long(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = digit(number % 10);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends the last `N` decimal digits of a number, with leading zeros.
pub(super) fn padded<const N: usize>(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; N];
    for place in digits.iter_mut().rev() {
        *place = digit(number % 10);
        number /= 10;
    }
    out.extend_from_slice(&digits);
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
    let mut fraction = *b".000000";
    let mut rest = micros % 1_000_000;
    for place in fraction[1..].iter_mut().rev() {
        *place = digit(rest % 10);
        rest /= 10;
    }
    // The first digit stays. All of it is copied, since a copy of a known length is no call.
    let zeros = fraction[2..].iter().rev().take_while(|&&place| place == b'0').count();
    out.extend_from_slice(&fraction);
    out.truncate(out.len() - zeros);
}

/// Appends `192.0.2.1`.
pub(super) fn dotted(out: &mut Vec<u8>, address: Ipv4Addr) {
    let mut text = [b'.'; 16];
    let mut length = 0;
    for octet in address.octets() {
        for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
            if octet >= least {
                text[length] = b'0' + octet / unit % 10;
                length += 1;
            }
        }
        length += 1;
    }
    let end = out.len() + length - 1;
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// Whole microseconds, to the nearest.
pub(super) fn rounded(duration: Duration) -> u64 {
    // Without 128 bits, whose division is a call.
    let micros = u64::from((duration.subsec_nanos() + 500) / 1_000);
    duration.as_secs().saturating_mul(1_000_000).saturating_add(micros)
}

/// A number below ten.
#[expect(clippy::cast_possible_truncation, reason = "below ten")]
pub(super) const fn digit(number: u64) -> u8 {
    b'0' + number as u8
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
        assert_eq!(text(|out| padded::<4>(out, 31)), "0031");
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
