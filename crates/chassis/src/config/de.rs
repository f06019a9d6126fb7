//! Reads values into typed settings, strictly.
//!
//! Environment variables are parsed as their target's type: only `true` and `false` are booleans, only digits are whole
//! numbers, lists split at commas, and an empty text is none where a value is optional. Nothing is rounded or guessed,
//! and no error repeats a value.
//!
//! Next: [`super::mismatch`].

use serde::{
    Deserializer,
    de::{
        self, IntoDeserializer, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{mismatch::Mismatch, value::Value};
use crate::values::AUTO;

impl Value {
    fn whole(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Variable(text) => whole(text),
            _ => None,
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Self::Float(number) if number.is_finite() => Some(*number),
            Self::Integer(number) => number.to_string().parse().ok(),
            // Words such as `inf` and `NaN` parse too.
            Self::Variable(text) if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                text.parse().ok().filter(|number: &f64| number.is_finite())
            }
            _ => None,
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Variable(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// Digits, without a plus sign or leading zeros: `0071` is a text or a mistake.
fn whole(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn expected<T>(what: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch::Expected(what.into()))
}

macro_rules! integers {
    ($($method:ident $type:ident $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            match self.whole().and_then(|number| $type::try_from(number).ok()) {
                Some(number) => visitor.$visit(number),
                None => expected(format!("a whole number from {} to {}", $type::MIN, $type::MAX)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Integer(number) => match (u64::try_from(number), i64::try_from(number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => expected("a whole number of at most 64 bits"),
            },
            Self::Float(number) => visitor.visit_f64(number),
            Self::Text(text) | Self::Variable(text) => visitor.visit_string(text),
            Self::List(items) => visit_list(items, visitor),
            Self::Table(table) => {
                let mut entries = MapDeserializer::new(table.into_iter());
                let value = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| value)
            }
        }
    }

    integers! {
        deserialize_i8 i8 visit_i8;
        deserialize_i16 i16 visit_i16;
        deserialize_i32 i32 visit_i32;
        deserialize_i64 i64 visit_i64;
        deserialize_u8 u8 visit_u8;
        deserialize_u16 u16 visit_u16;
        deserialize_u32 u32 visit_u32;
        deserialize_u64 u64 visit_u64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.float().map_or_else(|| expected("a number"), |number| visitor.visit_f64(number))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.boolean().map_or_else(|| expected("`true` or `false`"), |value| visitor.visit_bool(value))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Null => visitor.visit_none(),
            Self::Variable(text) if text.is_empty() => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::List(items) => visit_list(items, visitor),
            Self::Variable(text) => visit_list(split(&text), visitor),
            _ => expected("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        match (&self, self.whole().and_then(|number| i64::try_from(number).ok())) {
            (Self::Variable(_), Some(number)) if name == AUTO => visitor.visit_i64(number),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Table(_) => self.deserialize_any(visitor),
            _ => expected("a section of keys"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self {
            Self::Text(text) | Self::Variable(text) => visitor.visit_enum(text.into_deserializer()),
            Self::Table(table) => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(table.into_iter())))
            }
            _ => Err(de::Error::unknown_variant("", variants)),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

fn visit_list<'de, V: Visitor<'de>>(items: Vec<Value>, visitor: V) -> Result<V::Value, Mismatch> {
    let mut items = SeqDeserializer::new(items.into_iter());
    let value = visitor.visit_seq(&mut items)?;
    items.end().map(|()| value)
}

/// The elements of a list as the environment writes it; an empty text is an empty list.
fn split(text: &str) -> Vec<Value> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| Value::Variable(item.trim().to_owned())).collect()
}

impl IntoDeserializer<'_, Mismatch> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    fn variable<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Mismatch> {
        T::deserialize(Value::Variable(text.into()))
    }

    #[test]
    fn a_variable_takes_the_type_of_its_target() {
        assert_eq!(variable::<u16>("8080"), Ok(8080));
        assert_eq!(variable::<i64>("-3"), Ok(-3));
        assert_eq!(variable::<f64>("1e-3"), Ok(0.001));
        assert_eq!(variable::<bool>("true"), Ok(true));
        assert_eq!(variable::<String>("0071"), Ok("0071".into()));
        assert_eq!(variable::<Vec<u8>>("1, 2,3"), Ok(vec![1, 2, 3]));
        assert_eq!(variable::<Vec<u8>>(""), Ok(vec![]));
        assert_eq!(variable::<Option<u8>>(""), Ok(None));
        assert_eq!(variable::<Option<u8>>("7"), Ok(Some(7)));
        assert_eq!(variable::<(u8, bool)>("7,false"), Ok((7, false)));
    }

    #[test]
    fn nothing_is_rounded_or_guessed() {
        for text in ["1e5", "3.7", "+5", "0071", "-1", "65536", "", " 5", "0x10", "1_000"] {
            assert_eq!(variable::<u16>(text), expected("a whole number from 0 to 65535"), "{text}");
        }
        for text in ["NaN", "inf", "-inf", "1e999", "", "+1", "half"] {
            assert_eq!(variable::<f64>(text), expected("a number"), "{text}");
        }
        for text in ["True", "1", "yes", "on", ""] {
            assert_eq!(variable::<bool>(text), expected("`true` or `false`"), "{text}");
        }
    }

    #[test]
    fn a_file_gives_typed_values_and_nothing_else_fits() {
        assert_eq!(f64::deserialize(Value::Integer(1)), Ok(1.0));
        assert!(f64::deserialize(Value::Float(f64::NAN)).is_err());
        assert!(u8::deserialize(Value::Float(3.7)).is_err());
        assert!(u8::deserialize(Value::Text("3".into())).is_err());
        assert!(bool::deserialize(Value::Text("true".into())).is_err());
        assert!(String::deserialize(Value::Integer(71)).is_err());
        assert!(Vec::<String>::deserialize(Value::Text("a,b".into())).is_err());
    }

    #[test]
    fn enums_with_and_without_a_value_are_read() {
        #[derive(Debug, Deserialize, PartialEq)]
        #[serde(rename_all = "lowercase")]
        enum Mode {
            Plain,
            Limit(u8),
        }
        assert_eq!(variable::<Mode>("plain"), Ok(Mode::Plain));
        assert_eq!(variable::<Mode>("hunter2"), expected("one of `plain`, `limit`"));
        let table = Value::Table(BTreeMap::from([("limit".into(), Value::Integer(3))]));
        assert_eq!(Mode::deserialize(table), Ok(Mode::Limit(3)));
    }
}
