//! `application/x-www-form-urlencoded` into a value: a field that is a list takes every value of its key.
//!
//! Own code, since the two crates for it each miss something: `serde_urlencoded`, which axum has, knows no lists, and
//! `serde_html_form` groups all pairs of every query and reads `?page=` as no page. This one reads pair by pair,
//! and groups what is left only once a type asks for a list: in one pass, whatever a client sends.
//!
//! Next: [`super::extract`].

use std::{borrow::Cow, collections::HashMap};

use form_urlencoded::Parse;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer, MapAccess, Visitor,
        value::{Error, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

/// Why pairs are no `T`, with the field.
pub(super) type PairsError = serde_path_to_error::Error<Error>;

/// Reads a `T`; a key that comes twice is an error, except for lists and maps.
pub(super) fn read<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, PairsError> {
    let rest = form_urlencoded::parse(text);
    serde_path_to_error::deserialize(Pairs { rest, key: Cow::Borrowed(""), value: Cow::Borrowed(""), lists: None })
}

/// Pairs that are still to be read.
struct Pairs<'de> {
    rest: Parse<'de>,
    /// The pair being read.
    key: Cow<'de, str>,
    value: Cow<'de, str>,
    /// From the first list on: what was left then, without the keys that were read as lists.
    lists: Option<HashMap<Cow<'de, str>, Vec<Cow<'de, str>>>>,
}

impl<'de> Pairs<'de> {
    /// All values of the present key.
    fn list(&mut self, first: Cow<'de, str>) -> Vec<Cow<'de, str>> {
        if let Some(lists) = &mut self.lists {
            return lists.remove(&self.key).unwrap_or_default();
        }
        let mut lists: HashMap<_, Vec<_>> = HashMap::new();
        for (key, value) in self.rest {
            lists.entry(key).or_default().push(value);
        }
        let mut values = vec![first];
        values.extend(lists.remove(&self.key).unwrap_or_default());
        self.lists = Some(lists);
        values
    }
}

impl<'de> Deserializer<'de> for Pairs<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(MapDeserializer::new(self.rest.map(|(key, value)| (Part::alone(key), Part::alone(value)))))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 char str string option bytes byte_buf unit_struct newtype_struct
        tuple_struct struct identifier tuple enum ignored_any map
    }
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        for (key, value) in self.rest.by_ref() {
            if self.lists.as_ref().is_none_or(|lists| lists.contains_key(&key)) {
                (self.key, self.value) = (key.clone(), value);
                return seed.deserialize(Part::alone(key)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let text = std::mem::take(&mut self.value);
        seed.deserialize(Part { text, of: Some(self) })
    }
}

/// A key, a value, or all values of a key.
struct Part<'de, 'a> {
    text: Cow<'de, str>,
    /// Where a list finds its other values; none inside a list.
    of: Option<&'a mut Pairs<'de>>,
}

impl<'de> Part<'de, '_> {
    fn alone(text: Cow<'de, str>) -> Self {
        Self { text, of: None }
    }
}

impl<'de> IntoDeserializer<'de> for Part<'de, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty,)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.text.parse::<$type>().map_err(serde::de::Error::custom)?)
        }
    )+};
}

impl<'de> Deserializer<'de> for Part<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.text.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.of {
            Some(pairs) => visitor.visit_seq(SeqDeserializer::new(pairs.list(self.text).into_iter().map(Part::alone))),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    parsed! {
        deserialize_bool visit_bool bool,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    forward_to_deserialize_any! {
        char str string unit bytes byte_buf unit_struct tuple_struct struct identifier ignored_any map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::read;

    #[test]
    fn pairs_become_maps_sequences_and_maps_of_lists() {
        let text = b"a=1&b=2&a=3";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let all: Vec<(String, String)> = read(text).unwrap();
        assert_eq!(all, [pair("a", "1"), pair("b", "2"), pair("a", "3")]);
        let last: BTreeMap<String, String> = read(text).unwrap();
        assert_eq!(last, [pair("a", "3"), pair("b", "2")].into());
        let lists: BTreeMap<String, Vec<u8>> = read(text).unwrap();
        assert_eq!(lists, [("a".to_owned(), vec![1, 3]), ("b".to_owned(), vec![2])].into());
        let both: (u8, u8) = read::<BTreeMap<String, (u8, u8)>>(b"a=1&a=3").unwrap()["a"];
        assert_eq!(both, (1, 3));
    }
}
