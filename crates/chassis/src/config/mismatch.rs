//! Why a value is invalid, without repeating it.
//!
//! Serde passes the value to most errors; only the expectation is kept.
//!
//! Next: [`crate::values`].

use std::fmt::Display;

use serde::de;

/// Why a value does not match its target type.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(super) enum Mismatch {
    #[error("expected {0}")]
    Expected(String),
    #[error("unknown key")]
    UnknownKey,
    #[error("missing key: {0}")]
    Missing(&'static str),
    /// The message of a foreign type; it may contain the value.
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
