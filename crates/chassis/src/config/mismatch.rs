//! Why a value does not fit, in words that cannot repeat it.
//!
//! Serde offers the value with most errors; only what was expected is kept.
//!
//! Next: [`crate::values`].

use std::fmt::Display;

use serde::de;

/// Why a value does not fit its target.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(super) enum Mismatch {
    #[error("expected {0}")]
    Expected(String),
    #[error("unknown key")]
    UnknownKey,
    #[error("a key is missing: {0}")]
    Missing(&'static str),
    /// Words of a type that is not ours; they may hold the value.
    #[error("{0}")]
    Foreign(String),
}

impl de::Error for Mismatch {
    fn custom<T: Display>(message: T) -> Self {
        Self::Foreign(message.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::Expected(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Expected(match expected {
            [one] => format!("`{one}`"),
            _ => format!("one of `{}`", expected.join("`, `")),
        })
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownKey
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}
