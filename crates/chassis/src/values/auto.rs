//! `auto`, or a number.
//!
//! Next: [`super::duration`].

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name by which the settings' deserializer knows that a text from the environment may be a number here.
pub(crate) const AUTO: &str = "$auto";

const SHAPE: &str = "`auto` or a whole number above zero";

/// `auto`, or a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto<T> {
    /// Found from the machine at start.
    #[default]
    Auto,
    /// Set by hand.
    Value(T),
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Auto<usize> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AUTO, Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Auto<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "auto" => Ok(Auto::Auto),
            _ => Err(E::invalid_value(de::Unexpected::Other("text"), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_u64(number.try_into().unwrap_or(0))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match usize::try_from(number) {
            Ok(number) if number > 0 => Ok(Auto::Value(number)),
            _ => Err(E::invalid_value(de::Unexpected::Other("number"), &self)),
        }
    }
}

impl<T> JsonSchema for Auto<T> {
    fn schema_name() -> Cow<'static, str> {
        "Auto".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1_000_000 }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_or_a_number_above_zero_is_read() {
        assert_eq!(serde_json::from_str::<Auto<usize>>(r#""auto""#).unwrap(), Auto::Auto);
        assert_eq!(serde_json::from_str::<Auto<usize>>("4").unwrap(), Auto::Value(4));
        assert_eq!(serde_json::to_string(&Auto::Value(4_usize)).unwrap(), "4");
        assert_eq!(serde_json::to_string(&Auto::<usize>::Auto).unwrap(), r#""auto""#);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["0", "-1", "1.5", r#""4""#, r#""automatic""#, "true", "[]"] {
            let error = serde_json::from_str::<Auto<usize>>(text).unwrap_err().to_string();
            assert!(error.contains(SHAPE), "{error}");
        }
    }
}
