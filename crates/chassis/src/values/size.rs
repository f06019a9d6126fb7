//! Numbers of bytes.
//!
//! Next: [`super::secret`].

use std::{fmt, str::FromStr};

use super::text;

const SHAPE: &str = "a size such as 512B, 64KiB or 2MiB";

/// A number of bytes, written `512B`, `64KiB`, `2MiB` or `1GiB`; `0` is zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

text!(Size, SHAPE, r"^(0|[0-9]+(B|KiB|MiB|GiB))$");

impl Size {
    /// Bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Units of 1,024 bytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(kib * 1024)
    }

    /// Units of 1,048,576 bytes.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib * 1024 * 1024)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length; saturates where `usize` is smaller.
    #[must_use]
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether it is zero bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b if b > 0 && b.is_multiple_of(1 << 30) => write!(f, "{}GiB", b >> 30),
            b if b > 0 && b.is_multiple_of(1 << 20) => write!(f, "{}MiB", b >> 20),
            b if b > 0 && b.is_multiple_of(1 << 10) => write!(f, "{}KiB", b >> 10),
            b => write!(f, "{b}B"),
        }
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a size such as 512B, 64KiB or 2MiB";
        if text == "0" {
            return Ok(Self::default());
        }
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(EXPECTED)?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let factor: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(EXPECTED),
        };
        // A tebibyte is a bound for sums.
        match number.checked_mul(factor) {
            Some(bytes) if bytes <= 1 << 40 => Ok(Self(bytes)),
            _ => Err("expected a size of at most 1024GiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_reads_back_as_it_was_written() {
        for text in ["0B", "1B", "1000B", "1KiB", "64KiB", "2MiB", "1GiB", "1024GiB"] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.to_string(), text);
        }
        assert_eq!("1024B".parse(), Ok(Size::kib(1)));
        assert_eq!("0".parse(), Ok(Size::default()));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "5", "KiB", "-1B", "2MB", "2 MiB", "1.5MiB", "2mib", "1025GiB", "99999999999999999999B"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_no_size() {
        let error = serde_json::from_str::<Size>("65536").unwrap_err().to_string();
        assert!(error.contains(SHAPE) && !error.contains("65536"), "{error}");
    }
}
