//! Hexadecimal ids.
//!
//! Next: [`super::propagation`].

/// Up to 32 lower-case digits; `None` for anything else (`from_str_radix` would take capitals and a sign).
pub(super) fn parse(digits: &[u8]) -> Option<u128> {
    debug_assert!(digits.len() <= 32, "more than 128 bits");
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}
