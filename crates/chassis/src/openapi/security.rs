//! How a client proves who it is, in the description.
//!
//! It only says so: a layer around the routes, or an extractor, checks it.
//!
//! Next: [`mod@super::document`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Described;

/// What a request carries to prove who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// `Authorization: Bearer …`, RFC 6750.
    Bearer,
    /// `Authorization: Basic …`, RFC 7617.
    Basic,
    /// A key in the header of this name.
    ApiKeyHeader(&'static str),
    /// A key in the query parameter of this name. Access logs of proxies have it.
    ApiKeyQuery(&'static str),
    /// A key in the cookie of this name.
    ApiKeyCookie(&'static str),
}

impl Scheme {
    fn render(self) -> Value {
        let key = |place: &str, name: &str| json!({ "type": "apiKey", "in": place, "name": name });
        match self {
            Self::Bearer => json!({ "type": "http", "scheme": "bearer" }),
            Self::Basic => json!({ "type": "http", "scheme": "basic" }),
            Self::ApiKeyHeader(name) => key("header", name),
            Self::ApiKeyQuery(name) => key("query", name),
            Self::ApiKeyCookie(name) => key("cookie", name),
        }
    }
}

/// The schemes of all routes, by name.
///
/// # Panics
/// When one name means two of them.
pub(super) fn schemes<'a>(described: impl Iterator<Item = &'a Described>) -> Map<String, Value> {
    let mut schemes = BTreeMap::new();
    for (name, scheme) in described.flat_map(|described| &described.security) {
        let known = schemes.insert(*name, *scheme).unwrap_or(*scheme);
        assert!(known == *scheme, "the security scheme `{name}` is {known:?} and {scheme:?}");
    }
    schemes.into_iter().map(|(name, scheme)| (name.to_owned(), scheme.render())).collect()
}

/// The requirement of one operation: all of its schemes. Their scopes are not described.
pub(super) fn requirement(described: &Described) -> Option<Value> {
    let schemes: Map<_, _> = described.security.iter().map(|(name, _)| ((*name).to_owned(), json!([]))).collect();
    (!schemes.is_empty()).then(|| json!([schemes]))
}
