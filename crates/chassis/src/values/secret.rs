//! Texts that are never shown.
//!
//! Next: [`super::error`].

use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    hash::{DefaultHasher, Hasher},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// 65,536 rounds, about a millisecond: the settings' hash is public, so guessing a weak secret should be expensive.
const ROUNDS: u32 = 1 << 16;

thread_local! {
    // Serde hands a serializer no context; the settings' hash needs one.
    static DIGESTS: Cell<bool> = const { Cell::new(false) };
}

/// A text that is never shown: its `Debug` and its serialised form are `[redacted]`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself; keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret's digest in the settings' hash: equal for equal texts within one build.
    fn digest(&self) -> u64 {
        (0..ROUNDS).fold(0, |digest, _| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(digest);
            hasher.write(self.0.as_bytes());
            hasher.finish()
        })
    }
}

/// Runs `f` with secrets serialised as digests, so that settings can be compared.
pub(crate) fn with_digests<T>(f: impl FnOnce() -> T) -> T {
    let _restore = Restore(DIGESTS.replace(true));
    f()
}

/// Restores the old mode, even if a serializer panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        DIGESTS.set(self.0);
    }
}

/// For a default that a development machine has, such as a URL without a password.
impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if DIGESTS.get() {
            serializer.collect_str(&format_args!("{:016x}", self.digest()))
        } else {
            serializer.serialize_str("[redacted]")
        }
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_nowhere() {
        let secret = Secret("hunter2".into());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""[redacted]""#);
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn digests_tell_secrets_apart_only_while_asked_for() {
        let digest = |text: &str| with_digests(|| serde_json::to_string(&Secret(text.into())).unwrap());
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
        assert!(!digest("hunter2").contains("hunter2"));
        assert_eq!(serde_json::to_string(&Secret("a".into())).unwrap(), r#""[redacted]""#);
    }
}
