//! One API key in the settings: its name, and the key or its hash.
//!
//! Next: [`super::keys`].

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected},
};
use sha2::{Digest, Sha256};

use crate::values::Secret;

/// The SHA-256 of a key. That is enough for keys that a generator made; passwords would need a slow hash.
pub type KeyDigest = [u8; 32];

/// What stands before the hash of a key.
const HASHED: &str = "sha256:";

/// 16 characters: with 22 of base64 a key has the 128 bits that nobody guesses, and a word of a language has fewer than 16.
const SHORTEST: usize = 16;

const EXPECTED: &str =
    "NAME:KEY with a key of at least 16 visible ASCII characters, or NAME:sha256:HASH with 64 hexadecimal digits";

/// An API key as a setting: `NAME:KEY`, or `NAME:sha256:HASH`, which is no secret. `Vec<ApiKey>` has one for each caller, and
/// two of one caller while it changes over.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    name: String,
    /// As it was written, behind the name.
    key: Secret,
    digest: KeyDigest,
}

impl ApiKey {
    /// Whose key it is, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's hash.
    #[must_use]
    pub fn digest(&self) -> &KeyDigest {
        &self.digest
    }
}

/// The hash of a key as a request has it.
pub(super) fn digest(key: &[u8]) -> KeyDigest {
    Sha256::digest(key).into()
}

impl FromStr for ApiKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (name, key) = text.split_once(':').ok_or(EXPECTED)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(EXPECTED);
        }
        let digest = match key.strip_prefix(HASHED) {
            Some(hash) => read_hash(hash).ok_or(EXPECTED)?,
            None if key.len() >= SHORTEST && key.bytes().all(|byte| byte.is_ascii_graphic()) => digest(key.as_bytes()),
            None => return Err(EXPECTED),
        };
        Ok(Self { name: name.to_owned(), key: key.into(), digest })
    }
}

fn read_hash(hash: &str) -> Option<KeyDigest> {
    let mut digest = KeyDigest::default();
    if hash.len() != 2 * digest.len() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&hash[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

/// Its name, and never the key.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.name, self.key)
    }
}

impl<'de> Deserialize<'de> for ApiKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| D::Error::invalid_value(Unexpected::Other("text"), &expected))
    }
}

impl Serialize for ApiKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Redacted, or its digest in the hash of the settings.
        let key = serde_json::to_value(&self.key).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{}:{}", self.name, key.as_str().unwrap_or_default()))
    }
}

impl JsonSchema for ApiKey {
    fn schema_name() -> Cow<'static, str> {
        "ApiKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9._-]+:[!-~]{16,}$", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    #[test]
    fn a_key_and_its_hash_are_the_same_key() {
        let plain: ApiKey = format!("billing:{KEY}").parse().unwrap();
        // printf 0123456789abcdef | sha256sum
        let hex = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
        let hashed: ApiKey = format!("billing:sha256:{hex}").parse().unwrap();
        assert_eq!((plain.name(), plain.digest()), (hashed.name(), hashed.digest()));
        assert_eq!(
            format!("billing:sha256:{}", hex.to_uppercase()).parse::<ApiKey>().unwrap().digest(),
            plain.digest()
        );
    }

    #[test]
    fn a_key_without_a_name_or_that_is_short_is_refused_and_never_repeated() {
        for text in [
            "",
            KEY,
            ":0123456789abcdef",
            "a b:0123456789abcdef",
            "billing:",
            "billing:short",
            "billing:0123456789 abcdef",
            "billing:sha256:12",
            "billing:sha256:zz",
        ] {
            assert_eq!(text.parse::<ApiKey>(), Err(EXPECTED), "{text}");
        }
        let long = format!("billing:sha256:{}", "é".repeat(32));
        assert_eq!(long.parse::<ApiKey>(), Err(EXPECTED));
    }

    #[test]
    fn a_key_is_shown_by_its_name() {
        let key: ApiKey = format!("billing:{KEY}").parse().unwrap();
        assert_eq!(serde_json::to_string(&key).unwrap(), r#""billing:[redacted]""#);
        assert_eq!(format!("{key:?}"), "billing:[redacted]");
    }
}
