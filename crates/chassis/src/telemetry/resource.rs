//! The OpenTelemetry resource: the identity of the sender.
//!
//! Next: [`super::exporter`].

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::{Identity, Lookup, StartError};

const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The identity, then `OTEL_RESOURCE_ATTRIBUTES` (which carries what the platform knows, such as `k8s.pod.name`),
/// then `OTEL_SERVICE_NAME`; the later wins.
pub(super) fn build(identity: &Identity, environment: Lookup<'_>) -> Result<Resource, StartError> {
    let mut attributes = vec![
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("telemetry.sdk.name", "opentelemetry"),
        KeyValue::new("service.name", identity.service.clone()),
        KeyValue::new("service.version", identity.version.clone()),
        KeyValue::new("service.instance.id", identity.replica.clone()),
    ];
    for (key, value) in pairs(ATTRIBUTES, environment)? {
        attributes.push(KeyValue::new(key, value));
    }
    if let Some(name) = environment(SERVICE_NAME).filter(|name| !name.is_empty()) {
        attributes.push(KeyValue::new("service.name", name));
    }
    Ok(Resource::builder_empty().with_attributes(attributes).build())
}

/// Whether `OTEL_RESOURCE_ATTRIBUTES` is valid.
pub(super) fn check(environment: Lookup<'_>) -> Result<(), StartError> {
    pairs(ATTRIBUTES, environment).map(drop)
}

/// `key=value` pairs with commas, values percent-encoded (W3C Baggage, as OpenTelemetry's list variables have it).
/// An error names the variable and never repeats a value, which may be a secret.
pub(super) fn pairs(variable: &'static str, environment: Lookup<'_>) -> Result<Vec<(String, String)>, StartError> {
    let Some(list) = environment(variable) else { return Ok(Vec::new()) };
    let wrong = |number: usize, reason: &str| StartError::new(variable, format!("entry {number}: {reason}"));
    let mut pairs = Vec::new();
    for (index, entry) in list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty()) {
        let (key, value) = entry.split_once('=').ok_or_else(|| wrong(index + 1, "expected key=value"))?;
        if key.trim().is_empty() {
            return Err(wrong(index + 1, "the key is empty"));
        }
        let value = percent_decoded(value.trim()).ok_or_else(|| wrong(index + 1, "bad percent-encoding"))?;
        pairs.push((key.trim().to_owned(), value));
    }
    Ok(pairs)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? << 4 | digit()?;
        decoded.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::test::identity;

    fn with(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_standard_names_come_last() {
        let environment = with(&[
            (ATTRIBUTES, "k8s.pod.name=pod-1, team=a%2Cb%20%C3%BC,service.version=9,"),
            (SERVICE_NAME, "other"),
        ]);
        let resource = build(&identity(), &environment).unwrap();
        let get = |key: &'static str| resource.get(&key.into()).unwrap().to_string();
        assert_eq!(get("service.name"), "other");
        assert_eq!(get("service.version"), "9");
        assert_eq!(get("service.instance.id"), "replica-1");
        assert_eq!(get("k8s.pod.name"), "pod-1");
        assert_eq!(get("team"), "a,b ü");
    }

    #[test]
    fn malformed_lists_are_refused_by_name_without_their_values() {
        for bad in ["a=1,secret", "=secret", "a=secret%2", "a=secret%zz", "a=%ff"] {
            let error = build(&identity(), &|name: &str| (name == ATTRIBUTES).then(|| bad.to_owned())).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(ATTRIBUTES) && !error.contains("secret"), "{error}");
        }
    }
}
