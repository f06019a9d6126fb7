//! Building blocks of settings: strict scalar types, listen URLs, and the trait for checking a section.
//!
//! Their errors say what was expected and never repeat the value, which may be a misplaced secret; a guess at the address
//! that was meant is the one exception, and [`meant`] says when. Each
//! module has its section beside the code that uses it; [`crate::config`] composes them.
//!
//! Next: [`Duration`].

mod auto;
mod duration;
pub(crate) mod encoding;
mod error;
mod features;
pub(crate) mod listen;
pub(crate) mod meant;
mod secret;
mod size;

pub(crate) use auto::AUTO;
pub use auto::Auto;
pub use duration::Duration;
pub use error::{Check, SettingError, SettingErrors};
pub(crate) use error::{Origins, Source, origin};
pub(crate) use features::is_built_in;
pub use secret::Secret;
pub(crate) use secret::with_digests;
pub use size::Size;

/// 1,000,000: far more than a replica can process; a typo would overflow a counter.
pub(crate) const MOST: usize = 1_000_000;

/// Serde and schema for a type that is written as text, and as a bare `0` too.
macro_rules! text {
    ($type:ident, $shape:expr, $pattern:literal) => {
        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use ::serde::de::{Error, Unexpected};

                struct Visitor;

                impl ::serde::de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str($shape)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(|error: &'static str| {
                            let expected = error.trim_start_matches("expected ");
                            E::invalid_value(Unexpected::Other("text"), &expected)
                        })
                    }

                    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                        self.visit_u64(u64::from(number != 0))
                    }

                    // A number without a unit is ambiguous, except for zero.
                    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                        match number {
                            0 => Ok($type::default()),
                            _ => Err(E::invalid_type(Unexpected::Other("number"), &self)),
                        }
                    }
                }

                deserializer.deserialize_any(Visitor)
            }
        }

        impl ::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({ "anyOf": [{ "type": "string", "pattern": $pattern }, { "const": 0 }] })
            }
        }
    };
}

use text;
