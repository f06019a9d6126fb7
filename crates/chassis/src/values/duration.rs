//! Spans of time.
//!
//! Next: [`super::size`].

use std::{fmt, ops::Deref, str::FromStr, time};

use super::text;

const SHAPE: &str = "a duration such as 250ms, 5s, 1m or 2h";

/// A year, in milliseconds: a bound for sums and timers.
const YEAR: u64 = 365 * 24 * 3_600_000;

/// A span of time, written `250ms`, `5s`, `1m` or `2h`; `0` is zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(time::Duration);

text!(Duration, SHAPE, r"^(0|[0-9]+(ms|s|m|h))$");

impl Duration {
    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(time::Duration::from_millis(milliseconds))
    }

    /// The same as the standard library's type.
    #[must_use]
    pub const fn get(self) -> time::Duration {
        self.0
    }
}

impl Deref for Duration {
    type Target = time::Duration;

    fn deref(&self) -> &time::Duration {
        &self.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            ms if ms.is_multiple_of(3_600_000) => write!(f, "{}h", ms / 3_600_000),
            ms if ms.is_multiple_of(60_000) => write!(f, "{}m", ms / 60_000),
            ms if ms.is_multiple_of(1_000) => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl FromStr for Duration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a duration such as 250ms, 5s, 1m or 2h";
        if text == "0" {
            return Ok(Self::default());
        }
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or(EXPECTED)?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(EXPECTED),
        };
        match number.checked_mul(factor) {
            Some(milliseconds) if milliseconds <= YEAR => Ok(Self::from_millis(milliseconds)),
            _ => Err("expected a duration of at most a year"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_back_as_it_was_written() {
        for text in ["0s", "1ms", "250ms", "5s", "90s", "1m", "2h", "8760h"] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration), "{text}");
        }
        assert_eq!("0".parse(), Ok(Duration::default()));
        assert_eq!("90s".parse::<Duration>().unwrap().to_string(), "90s");
        assert_eq!("120s".parse::<Duration>().unwrap().to_string(), "2m");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "-5s", "+5s", "5 s", "1.5s", "5S", "5d", "1m30s", "8761h", "99999999999999999999s"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_zero_is_a_duration_and_no_other_number_is() {
        assert_eq!(serde_json::from_str::<Duration>("0").unwrap(), Duration::default());
        let error = serde_json::from_str::<Duration>("5").unwrap_err().to_string();
        assert!(error.contains(SHAPE) && !error.contains("`5`"), "{error}");
        assert!(serde_json::from_str::<Duration>("-1").is_err());
    }
}
