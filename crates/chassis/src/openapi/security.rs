//! How a client proves who it is, in the description.
//!
//! It only says so: a layer around the routes, or an extractor, checks it. With the cargo feature `identity` a guard does
//! both.
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
    /// A client certificate.
    MutualTls,
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
            Self::MutualTls => json!({ "type": "mutualTLS" }),
        }
    }
}

/// A scheme by its name in the description, with the scopes that a request needs in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) name: &'static str,
    pub(crate) scheme: Scheme,
    pub(crate) scopes: Vec<&'static str>,
}

/// The schemes of all routes, by name.
///
/// # Panics
/// When one name means two of them.
pub(super) fn schemes<'a>(described: impl Iterator<Item = &'a Described>) -> Map<String, Value> {
    let mut schemes = BTreeMap::new();
    for Requirement { name, scheme, .. } in described.flat_map(|described| described.security.iter().flatten()) {
        let known = schemes.insert(*name, *scheme).unwrap_or(*scheme);
        assert!(known == *scheme, "the security scheme `{name}` is {known:?} and {scheme:?}");
    }
    schemes.into_iter().map(|(name, scheme)| (name.to_owned(), scheme.render())).collect()
}

/// The requirement of one operation: of each group one, so every choice of them is an alternative.
pub(super) fn requirement(described: &Described) -> Option<Value> {
    let choose = |chosen: Vec<Map<String, Value>>, group: &Vec<Requirement>| {
        let with = |chosen: &Map<String, Value>, one: &Requirement| {
            let mut chosen = chosen.clone();
            let scopes = chosen.entry(one.name).or_insert(json!([])).as_array_mut().expect("a list of scopes");
            scopes.extend(one.scopes.iter().map(|scope| json!(scope)));
            chosen
        };
        chosen.iter().flat_map(|chosen| group.iter().map(move |one| with(chosen, one))).collect()
    };
    let alternatives = described.security.iter().fold(vec![Map::new()], choose);
    (!described.security.is_empty()).then(|| json!(alternatives))
}
