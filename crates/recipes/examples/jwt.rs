//! Bearer tokens (RFC 6750) that are JWTs (RFC 7519), with an issuer's rotating keys (RFC 7517).
//!
//! Keys come from the issuer's JWKS, are renewed in the background by the soft check `keys`, and once more when a token
//! has an unknown key id: a rotation fails no request. The token's own `alg` is not trusted;
//! the key's is used. Until keys are loaded, requests get 503.
//!
//! `APP__APP__ISSUER=https://issuer.example APP__APP__AUDIENCE=orders APP__APP__KEYS_URL=http://issuer/jwks cargo run -p recipes --example jwt`

use std::{
    process::ExitCode,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use chassis::{
    Chassis,
    config::{self, Check, SettingError, SettingErrors},
    health::{self, Kind},
    problem::{Json, Problem},
    router::Router,
    upstream::{self, Upstream, UpstreamError, Upstreams},
};
use http::{HeaderValue, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::{info, warn};

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Accepted issuer: `iss`.
    issuer: String,
    /// Accepted audience: `aud`.
    audience: String,
    /// Where the issuer's keys are, without the path `/jwks`.
    keys_url: String,
    /// How often the keys are renewed.
    keys_every: config::Duration,
    /// Minimum time between a renewal and another for an unknown key, so that forged tokens do not load the issuer.
    keys_pause: config::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: "https://issuer.example".into(),
            audience: "orders".into(),
            keys_url: "http://127.0.0.1:9000".into(),
            keys_every: config::Duration::from_secs(300),
            keys_pause: config::Duration::from_secs(10),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        errors.require(!self.issuer.is_empty(), "issuer", "must be set");
        errors.require(!self.audience.is_empty(), "audience", "must be set");
        errors.require(!self.keys_every.get().is_zero(), "keys_every", "must be above zero");
        if let Err(error) = Upstream::check_url(&self.keys_url) {
            errors.push(SettingError::new("keys_url", error.to_string()));
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("app.keys_url: {0}")]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Check(#[from] health::DuplicateCheck),
    #[error("registering a metric: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, StartError> {
    let upstreams = Upstreams::new(&chassis.registry, chassis.propagation.clone())?;
    let issuer = upstreams.client("issuer", &settings.keys_url, &upstream::Settings::default())?;
    let keys =
        Arc::new(Keys { issuer, settings: settings.clone(), known: RwLock::default(), renewing: Mutex::default() });
    let watched = Arc::clone(&keys);
    let renew = move || {
        let keys = Arc::clone(&watched);
        async move { keys.renew().await }
    };
    chassis.checks.register(health::Check::new("keys", Kind::Soft, renew).every(settings.keys_every.get()))?;
    Ok(Router::new().route("/v1/me", get(me).layer(from_fn_with_state(keys, authenticate))))
}

async fn me(Extension(claims): Extension<Claims>) -> Json<Claims> {
    Json(claims)
}

/// The caller and its permissions.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    /// Who.
    sub: String,
    /// Scopes, separated by spaces.
    #[serde(default)]
    scope: String,
}

/// Admits requests with a valid token and the scope `read`.
async fn authenticate(State(keys): State<Arc<Keys>>, mut request: Request, next: Next) -> Response {
    match keys.verify(bearer(&request)).await {
        Ok(claims) if claims.scope.split(' ').any(|scope| scope == "read") => {
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Ok(_) => Refused::Scope.into_response(),
        Err(refused) => refused.into_response(),
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[derive(Debug)]
enum Refused {
    /// No token.
    Missing,
    /// An invalid token.
    Invalid,
    /// A token without the required scope.
    Scope,
    /// No keys loaded.
    NoKeys,
}

impl IntoResponse for Refused {
    /// RFC 6750, section 3: without a token the challenge contains no error.
    fn into_response(self) -> Response {
        let (status, code, challenge) = match self {
            Self::Missing => (StatusCode::UNAUTHORIZED, "token_missing", "Bearer"),
            Self::Invalid => (StatusCode::UNAUTHORIZED, "token_invalid", "Bearer error=\"invalid_token\""),
            Self::Scope => {
                (StatusCode::FORBIDDEN, "scope_missing", "Bearer error=\"insufficient_scope\", scope=\"read\"")
            }
            Self::NoKeys => return Problem::unavailable(Duration::from_secs(1)).into_response(),
        };
        let mut response = Problem::custom(status, code).into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

struct Keys {
    issuer: Upstream,
    settings: Settings,
    known: RwLock<Arc<Known>>,
    /// When the last renewal began; held during one, so that many requests with a new key cause one.
    renewing: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Known {
    set: Vec<Key>,
}

struct Key {
    id: String,
    algorithm: Algorithm,
    verifier: DecodingKey,
}

impl Keys {
    async fn verify(&self, token: Option<&str>) -> Result<Claims, Refused> {
        let token = token.ok_or(Refused::Missing)?;
        let id = jsonwebtoken::decode_header(token).ok().and_then(|head| head.kid).ok_or(Refused::Invalid)?;
        if self.known().find(&id).is_none() {
            self.renew_soon().await;
        }
        let known = self.known();
        if known.set.is_empty() {
            return Err(Refused::NoKeys);
        }
        let key = known.find(&id).ok_or(Refused::Invalid)?;
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        jsonwebtoken::decode(token, &key.verifier, &validation).map(|token| token.claims).map_err(|error| {
            info!(%error, "rejected a token");
            Refused::Invalid
        })
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().expect("nothing panics under it"))
    }

    /// Renews for an unknown key, unless the keys were just renewed.
    async fn renew_soon(&self) {
        let mut renewing = self.renewing.lock().await;
        if renewing.is_none_or(|last| last.elapsed() >= self.settings.keys_pause.get()) {
            *renewing = Some(Instant::now());
            if let Err(error) = self.renew().await {
                warn!(error, "cannot refresh the issuer's keys");
            }
        }
    }

    async fn renew(&self) -> Result<(), String> {
        let answer = self.issuer.get("/jwks").await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the issuer responded with status {}", answer.status()));
        }
        let set: JwkSet = serde_json::from_slice(answer.body()).map_err(|_| "the issuer's key set is malformed")?;
        let set: Vec<_> = set.keys.iter().filter_map(Key::new).collect();
        if set.is_empty() {
            return Err("the issuer has no usable key".into());
        }
        *self.known.write().expect("nothing panics under it") = Arc::new(Known { set });
        Ok(())
    }
}

impl Known {
    fn find(&self, id: &str) -> Option<&Key> {
        self.set.iter().find(|key| key.id == id)
    }
}

impl Key {
    /// None for keys without an id or an algorithm, and for symmetric ones, which an issuer never publishes.
    fn new(jwk: &jsonwebtoken::jwk::Jwk) -> Option<Self> {
        let algorithm: Algorithm = jwk.common.key_algorithm?.to_string().parse().ok()?;
        let symmetric = matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        let id = jwk.common.key_id.clone().filter(|_| !symmetric)?;
        Some(Self { id, algorithm, verifier: DecodingKey::from_jwk(jwk).ok()? })
    }
}
