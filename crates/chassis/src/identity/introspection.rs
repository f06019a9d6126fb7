//! Tokens that only their issuer can judge: RFC 7662.
//!
//! A verdict is kept for a while, and no longer than the token lives: a revoked token is admitted until then. While the issuer
//! is away, tokens without a verdict get 503.
//!
//! Next: [`super::cache`].

use std::{
    fmt,
    sync::Arc,
    time::{Duration as StdDuration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{HeaderValue, Response, request::Parts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::warn;

use super::{
    Caller, Guard, IdentityError, bearer,
    cache::Cache,
    guard::{Proof, Prove},
    key::digest,
    refusal::Refusal,
};
use crate::{
    openapi::Scheme,
    upstream::{
        Settings, Upstreams,
        endpoint::{Endpoint, basic},
    },
    values::{Duration, Secret, SettingError, SettingErrors},
};

/// Settings of [`Introspection`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IntrospectionSettings {
    /// The issuer's introspection endpoint, such as `https://login.example/oauth2/introspect`.
    pub url: String,
    /// The name of this service at the issuer.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: Secret,
    /// The audience that a token must have; unset: any token of the issuer is for this service.
    pub audience: Option<String>,
    /// How long a verdict is kept: so long a revoked token is still admitted.
    pub cache_for: Duration,
    /// How many verdicts are kept.
    pub cache_size: usize,
    /// The client of the issuer.
    pub client: Settings,
}

impl Default for IntrospectionSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            audience: None,
            // 30 s: a caller that sends one request a second causes a thirtieth of its calls, and a revocation is soon heard of.
            cache_for: Duration::from_secs(30),
            // 10,000 callers at a time; with 1 KiB of claims each, 10 MiB.
            cache_size: 10_000,
            client: Settings::default(),
        }
    }
}

impl IntrospectionSettings {
    /// Validates beyond the types; `key` is the path of these settings, such as `app.login`.
    pub fn check(&self, key: &str, errors: &mut SettingErrors) {
        if let Err(error) = Endpoint::check(&self.url) {
            errors.push(SettingError::new(format!("{key}.url"), error.to_string()));
        }
        errors.require(!self.client_id.is_empty(), &format!("{key}.client_id"), "must be set");
        errors.require(self.cache_size > 0, &format!("{key}.cache_size"), "must be above zero");
        self.client.check(&format!("{key}.client"), errors);
    }
}

/// Asks an issuer about each token; clones share what it said.
#[derive(Clone)]
pub struct Introspection(Arc<Inner>);

struct Inner {
    name: &'static str,
    issuer: Endpoint,
    client: HeaderValue,
    audience: Option<String>,
    cache_for: StdDuration,
    /// None: the token is not active.
    cache: Cache<Option<Caller>>,
}

impl Introspection {
    /// `name` is the scheme's name in the description, and the label of the issuer's calls in metrics and spans.
    ///
    /// # Errors
    /// When the issuer cannot be called, see [`Upstreams::client`].
    pub fn new(
        name: &'static str,
        settings: &IntrospectionSettings,
        upstreams: &Upstreams,
    ) -> Result<Self, IdentityError> {
        Ok(Self(Arc::new(Inner {
            name,
            issuer: Endpoint::new(upstreams, name, &settings.url, &settings.client)?,
            client: basic(&settings.client_id, &settings.client_secret),
            audience: settings.audience.clone(),
            cache_for: settings.cache_for.get(),
            cache: Cache::new(settings.cache_size),
        })))
    }

    /// Admits requests with an active token.
    pub fn guard(&self) -> Guard {
        self.require([])
    }

    /// Admits requests with an active token that has all of these scopes.
    pub fn require<const N: usize>(&self, scopes: [&'static str; N]) -> Guard {
        Guard::new(self.0.name, Scheme::Bearer, &scopes, Arc::new(self.clone()))
    }
}

impl Prove for Introspection {
    fn prove<'a>(&'a self, head: &'a Parts) -> Proof<'a> {
        Box::pin(async move {
            let token = bearer::token(&head.headers, bearer::MAX_TOKEN)?;
            let verdict = self.0.cache.get(digest(token.as_bytes()), || self.0.ask(token)).await?;
            verdict.ok_or(Refusal::Invalid("the token is not active".into()))
        })
    }
}

impl Inner {
    /// The caller, and how long that holds.
    async fn ask(&self, token: &str) -> Result<(Option<Caller>, StdDuration), Refusal> {
        let said = self.issuer.post(&self.client, form(token)).await.map_err(|error| error.reason());
        let claims = said.and_then(|response| read(&response)).map_err(|error| {
            warn!(guard = self.name, error, "cannot introspect a token");
            Refusal::Unavailable("the issuer did not answer".into())
        })?;
        Ok(self.judge(claims))
    }

    /// RFC 7662, section 2.2: all but `active` may be missing.
    fn judge(&self, claims: Map<String, Value>) -> (Option<Caller>, StdDuration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left =
            claims.get("exp").map(|exp| StdDuration::from_secs(exp.as_u64().unwrap_or_default()).saturating_sub(now));
        let is_active = claims.get("active") == Some(&Value::Bool(true)) && left.is_none_or(|left| !left.is_zero());
        if !is_active || !self.is_for_us(&claims) {
            return (None, self.cache_for);
        }
        let name = ["sub", "username", "client_id"].iter().find_map(|name| claims.get(*name)?.as_str());
        let name = name.unwrap_or_default().to_owned();
        let holds = left.map_or(self.cache_for, |left| left.min(self.cache_for));
        (Some(Caller::from_claims(&name, claims)), holds)
    }

    fn is_for_us(&self, claims: &Map<String, Value>) -> bool {
        let Some(audience) = &self.audience else { return true };
        match claims.get("aud") {
            Some(Value::Array(list)) => list.iter().any(|one| one == audience),
            Some(one) => one == audience,
            None => false,
        }
    }
}

fn form(token: &str) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token).append_pair("token_type_hint", "access_token").finish()
}

fn read(response: &Response<Bytes>) -> Result<Map<String, Value>, String> {
    if !response.status().is_success() {
        return Err(format!("the issuer responded with status {}", response.status()));
    }
    serde_json::from_slice(response.body()).map_err(|_| "the issuer's response is no JSON object".to_owned())
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Introspection").field(&self.0.name).finish()
    }
}
