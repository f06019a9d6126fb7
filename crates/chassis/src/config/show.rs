//! Settings as text: redacted for people, with digests of secrets for comparison.
//!
//! Next: [`mod@super::schema`].

use std::hash::{DefaultHasher, Hasher};

use serde::Serialize;
use serde_json::Value;

use super::Settings;
use crate::values::with_digests;

const REDACTED: &str = "[redacted]";

/// The effective settings, without secrets and without the credentials in URLs.
///
/// # Panics
/// Where the app's settings do not serialise: a map whose keys are no texts.
#[must_use]
pub(crate) fn redacted<A: Serialize>(settings: &Settings<A>) -> Value {
    let mut tree = tree(settings);
    hide_credentials(&mut tree);
    tree
}

/// The same as TOML, for people; what is unset is left out.
///
/// # Panics
/// As [`redacted`].
#[must_use]
pub(crate) fn render<A: Serialize>(settings: &Settings<A>) -> String {
    let mut tree = redacted(settings);
    fit_toml(&mut tree);
    toml::to_string_pretty(&tree).expect("a tree that fits TOML")
}

/// 12 hexadecimal digits of a keyed hash over every value; the order of map entries does not count.
pub(super) fn hash<A: Serialize>(settings: &Settings<A>) -> String {
    // Fixed keys: the same settings give the same hash on every replica of a build.
    let mut hasher = DefaultHasher::new();
    feed(&mut hasher, &fingerprint(settings));
    format!("{:012x}", hasher.finish() & 0xffff_ffff_ffff)
}

/// Every key whose value differs, joined by dots and sorted.
pub(super) fn differing<A: Serialize>(left: &Settings<A>, right: &Settings<A>) -> Vec<String> {
    let mut keys = Vec::new();
    compare(&fingerprint(left), &fingerprint(right), "", &mut keys);
    keys.sort();
    keys
}

fn fingerprint<A: Serialize>(settings: &Settings<A>) -> Value {
    with_digests(|| tree(settings))
}

fn tree<A: Serialize>(settings: &Settings<A>) -> Value {
    serde_json::to_value(settings).expect("settings have text keys and serialise")
}

fn feed(hasher: &mut DefaultHasher, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            hasher.write(b"{");
            for key in keys {
                hasher.write(key.as_bytes());
                hasher.write(b":");
                feed(hasher, &object[key]);
            }
            hasher.write(b"}");
        }
        Value::Array(items) => {
            hasher.write(b"[");
            for item in items {
                feed(hasher, item);
            }
            hasher.write(b"]");
        }
        scalar => {
            hasher.write(scalar.to_string().as_bytes());
            hasher.write(b",");
        }
    }
}

fn compare(left: &Value, right: &Value, key: &str, keys: &mut Vec<String>) {
    let (Value::Object(a), Value::Object(b)) = (left, right) else {
        if left != right {
            keys.push(key.to_owned());
        }
        return;
    };
    let absent = b.keys().filter(|name| !a.contains_key(*name));
    for name in a.keys().chain(absent) {
        let null = &Value::Null;
        let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        compare(a.get(name).unwrap_or(null), b.get(name).unwrap_or(null), &key, keys);
    }
}

fn hide_credentials(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(hidden) = without_credentials(text) {
                *text = hidden;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_credentials),
        Value::Object(object) => object.values_mut().for_each(hide_credentials),
        _ => {}
    }
}

/// `text` without the credentials between `//` and the last `@` of a URL's authority; none if there are none.
fn without_credentials(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password with a bare `/` makes an invalid URL, but is hidden too.
    let at = rest[..end].rfind('@').or_else(|| rest.rfind('@'))?;
    Some(format!("{scheme}://{REDACTED}{}", &rest[at..]))
}

/// TOML has no null, and no number above 63 bits.
fn fit_toml(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_u64() && !number.is_i64() => *value = number.to_string().into(),
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(fit_toml);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(fit_toml);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_a_url() {
        for (text, shown) in [
            ("http://user:hunter2@host:4317/path", "http://[redacted]@host:4317/path"),
            ("http://token@host", "http://[redacted]@host"),
            ("postgres://u:p@ss@host/db", "postgres://[redacted]@host/db"),
            ("postgres://u:p/ss@host/db", "postgres://[redacted]@host/db"),
        ] {
            assert_eq!(without_credentials(text).as_deref(), Some(shown));
        }
        assert_eq!(without_credentials("http://[::]:8080"), None);
        assert_eq!(without_credentials("somebody@example.com"), None);
    }
}
