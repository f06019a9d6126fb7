//! The OpenTelemetry resource: the identity of the sender.
//!
//! Next: [`super::exporter`].

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::{
    Identity, Lookup, StartError, pairs,
    standard::{RESOURCE_ATTRIBUTES, SERVICE_NAME},
};

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
    attributes.extend(named(environment)?.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    if let Some(name) = environment(SERVICE_NAME).filter(|name| !name.is_empty()) {
        attributes.push(KeyValue::new("service.name", name));
    }
    Ok(Resource::builder_empty().with_attributes(attributes).build())
}

/// Whether `OTEL_RESOURCE_ATTRIBUTES` is valid.
pub(super) fn check(environment: Lookup<'_>) -> Result<(), StartError> {
    named(environment).map(drop)
}

fn named(environment: Lookup<'_>) -> Result<Vec<(String, String)>, StartError> {
    let list = environment(RESOURCE_ATTRIBUTES).unwrap_or_default();
    pairs::parse(&list).map_err(|reason| StartError::new(RESOURCE_ATTRIBUTES, reason))
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
            (RESOURCE_ATTRIBUTES, "k8s.pod.name=pod-1, team=a%2Cb%20%C3%BC,service.version=9,"),
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
            let error =
                build(&identity(), &|name: &str| (name == RESOURCE_ATTRIBUTES).then(|| bad.to_owned())).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(RESOURCE_ATTRIBUTES) && !error.contains("secret"), "{error}");
        }
    }
}
