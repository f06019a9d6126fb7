//! Who sends a request, for handlers.
//!
//! Next: [`super::protected`].

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tracing::info;

use super::guard::unguarded;
use crate::{
    openapi::Input,
    problem::{Code, Problem},
};

/// Who sends a request, as the innermost guard has proven it: an extractor.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    guard: &'static str,
    subject: Arc<str>,
    scopes: Arc<[String]>,
    claims: Arc<Map<String, Value>>,
}

impl Caller {
    /// A caller of this name, without scopes and claims; for [`ApiKeys::looked_up`](super::ApiKeys::looked_up).
    #[must_use]
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self { guard: "", subject: subject.into(), scopes: Arc::default(), claims: Arc::default() }
    }

    /// What it may do.
    #[must_use]
    pub fn with_scopes(self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), ..self }
    }

    /// The caller in the claims of a token. Its scopes are in `scope` (RFC 9068, section 2.2.3) or `scp`: a text with spaces, or
    /// a list.
    pub(super) fn from_claims(subject: &str, claims: Map<String, Value>) -> Self {
        let scopes = match claims.get("scope").or_else(|| claims.get("scp")) {
            Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(list)) => list.iter().filter_map(|scope| Some(scope.as_str()?.to_owned())).collect(),
            _ => Vec::new(),
        };
        Self { claims: Arc::new(claims), ..Self::new(subject).with_scopes(scopes) }
    }

    pub(super) fn proven_by(self, guard: &'static str) -> Self {
        Self { guard, ..self }
    }

    /// The guard that admitted it, by its name in the description.
    #[must_use]
    pub fn guard(&self) -> &'static str {
        self.guard
    }

    /// Its name: the `sub` of a token, the name of an API key, the name in a certificate. Only together with
    /// [`guard`](Self::guard) it is unique.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it has this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// Its scopes.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// All claims of its token; none of an API key or a certificate.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// The claims of the caller's token as a `T`: an extractor.
#[derive(Clone, Copy, Debug)]
pub struct Claims<T>(pub T);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    /// 500 on a route without a guard.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get().cloned().ok_or_else(unguarded)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Claims<T> {
    type Rejection = Response;

    /// 403 where the claims are not those of a `T`, 500 on a route without a guard.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Caller>().ok_or_else(unguarded)?;
        // The error may repeat a claim, which the log need not have: the line of the error names the type only.
        serde_json::from_value(Value::Object((*caller.claims).clone())).map(Self).map_err(|_| {
            let (guard, expected) = (caller.guard, std::any::type_name::<T>());
            info!(guard, expected, "the claims of a token are not those that the handler needs");
            Problem::new(Code::Forbidden).into_response()
        })
    }
}

impl Input for Caller {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;
}

impl<T> Input for Claims<T> {
    const CONNECT_INFO: bool = false;
    const ROUTED: bool = false;
}
