//! Tokens for calls to other services: the client-credentials grant (RFC 6749, section 4.4).
//!
//! A token is fetched when it is first needed, and again before it expires, while calls go on with the old one. An issuer
//! that is away fails no call before the token has expired; then calls fail without asking it each time. After a 401 the
//! token is fetched anew, and the call is sent once more: the service has refused it, so it had no effect.
//!
//! Next: [`super::renewal`].

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{HeaderValue, Request, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::{
    Settings, UpstreamError, Upstreams,
    endpoint::{Endpoint, basic},
    renewal::Renewals,
};
use crate::values::{Secret, SettingError, SettingErrors};

/// 60 s: more than a fetch and the skew of two clocks take. Of a token that lives less than five minutes, a fifth.
const MARGIN: Duration = Duration::from_mins(1);

/// RFC 6749, section 5.1: where `expires_in` is missing, the lifetime is documented elsewhere. 60 s is hardly too long.
const USUAL_LIFETIME: u64 = 60;

/// A year: an issuer that says more means "for ever".
const MAX_LIFETIME: u64 = 365 * 24 * 3600;

/// 1 s to 30 s between two fetches that fail, as the circuit breaker's pauses.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Settings of [`Credentials`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsSettings {
    /// The issuer's token endpoint, such as `https://login.example/oauth2/token`.
    pub token_url: String,
    /// The name of this service at the issuer.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: Secret,
    /// The scopes of the token.
    pub scopes: Vec<String>,
    /// The audience of the token, for issuers that have this parameter.
    pub audience: Option<String>,
    /// The client of the issuer.
    pub client: Settings,
}

impl CredentialsSettings {
    /// Validates beyond the types; `key` is the path of these settings, such as `app.rates.credentials`.
    pub fn check(&self, key: &str, errors: &mut SettingErrors) {
        if let Err(error) = Endpoint::check(&self.token_url) {
            errors.push(SettingError::new(format!("{key}.token_url"), error.to_string()));
        }
        errors.require(!self.client_id.is_empty(), &format!("{key}.client_id"), "must be set");
        self.client.check(&format!("{key}.client"), errors);
    }
}

/// Fetches tokens, and keeps them until shortly before they expire; clones share them.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    name: &'static str,
    issuer: Endpoint,
    client: HeaderValue,
    form: String,
    token: ArcSwapOption<Token>,
    renewals: Renewals,
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, UpstreamError>> + Send + 'a>>;

/// As it stands in `Authorization`.
struct Token {
    value: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<Value>,
}

impl Credentials {
    /// Nothing is fetched yet. `name` is the label of the issuer's calls in metrics and spans.
    ///
    /// # Errors
    /// As [`Upstreams::client`].
    pub fn new(
        name: &'static str,
        settings: &CredentialsSettings,
        upstreams: &Upstreams,
    ) -> Result<Self, UpstreamError> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !settings.scopes.is_empty() {
            form.append_pair("scope", &settings.scopes.join(" "));
        }
        if let Some(audience) = &settings.audience {
            form.append_pair("audience", audience);
        }
        Ok(Self(Arc::new(Inner {
            name,
            issuer: Endpoint::new(upstreams, name, &settings.token_url, &settings.client)?,
            client: basic(&settings.client_id, &settings.client_secret),
            form: form.finish(),
            token: ArcSwapOption::empty(),
            renewals: Renewals::new(PAUSE, MAX_PAUSE),
        })))
    }

    /// Sends `request` with a token. Boxed, as fetching one is a call, too.
    pub(super) fn send<'a>(&'a self, upstream: &'a super::Inner, request: Request<Bytes>) -> Sent<'a> {
        Box::pin(async move {
            let deadline = upstream.deadline(Instant::now());
            let token = timeout_at(deadline, self.token()).await.map_err(|_| UpstreamError::DeadlineExceeded)??;
            let again = request.clone();
            let response = upstream.call(token.on(request)).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            match timeout_at(deadline, self.renewed_after(&token)).await {
                Ok(Some(renewed)) => upstream.call(renewed.on(again)).await,
                _ => Ok(response),
            }
        })
    }

    async fn token(&self) -> Result<Arc<Token>, UpstreamError> {
        if let Some(token) = self.valid() {
            if token.renew_at <= Instant::now() && self.0.renewals.is_due() {
                let this = self.clone();
                tokio::spawn(async move { this.renew().await });
            }
            return Ok(token);
        }
        let renewed = self.renew().await;
        let reason = || renewed.err().unwrap_or_else(|| "it expires as soon as it is issued".to_owned());
        self.valid().ok_or_else(|| UpstreamError::Credentials(reason()))
    }

    fn valid(&self) -> Option<Arc<Token>> {
        self.0.token.load_full().filter(|token| Instant::now() < token.expires_at)
    }

    async fn renew(&self) -> Result<(), String> {
        self.renew_if(|token| token.renew_at <= Instant::now()).await
    }

    /// The token in the place of one that the service has refused; none where that was tried just before. The refused one
    /// stays in use meanwhile: it may be good for other calls.
    async fn renewed_after(&self, refused: &Arc<Token>) -> Option<Arc<Token>> {
        let known = Arc::clone(refused);
        // What went wrong is logged there.
        let _ = self.renew_if(move |token| Arc::ptr_eq(token, &known)).await;
        self.valid().filter(|token| !Arc::ptr_eq(token, refused))
    }

    /// Where there is none, or `is_due` says so of the present one.
    async fn renew_if(&self, is_due: impl Fn(&Arc<Token>) -> bool + Send + 'static) -> Result<(), String> {
        let (watched, this) = (self.clone(), self.clone());
        let is_needed = move || watched.valid().is_none_or(|token| is_due(&token));
        self.0.renewals.run(is_needed, || async move { this.fetch().await }).await
    }

    async fn fetch(&self) -> Result<(), String> {
        let inner = &self.0;
        let fetched = inner.issuer.post(&inner.client, inner.form.clone()).await.map_err(|error| error.reason());
        match fetched.and_then(|response| Token::read(&response)) {
            Ok(token) => inner.token.store(Some(Arc::new(token))),
            Err(error) => {
                warn!(issuer = inner.name, error, "cannot fetch a token");
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Token {
    /// RFC 6749, section 5.1.
    fn read(response: &Response<Bytes>) -> Result<Self, String> {
        if !response.status().is_success() {
            return Err(format!("the issuer responded with status {}", response.status()));
        }
        let Ok(granted) = serde_json::from_slice::<Granted>(response.body()) else {
            return Err("the issuer's response is not that of a token endpoint".to_owned());
        };
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            return Err("the issuer's token is no bearer token".to_owned());
        }
        let value = HeaderValue::try_from(format!("Bearer {}", granted.access_token));
        let mut value = value.map_err(|_| "the issuer's token cannot stand in a header")?;
        value.set_sensitive(true);
        // Some issuers write the number as a text.
        let seconds = |value: Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let lifetime = granted.expires_in.and_then(seconds).unwrap_or(USUAL_LIFETIME).min(MAX_LIFETIME);
        let (now, lifetime) = (Instant::now(), Duration::from_secs(lifetime));
        let expires_at = now + lifetime;
        Ok(Self { value, renew_at: expires_at - MARGIN.min(lifetime / 5), expires_at })
    }

    fn on(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        request.headers_mut().insert(header::AUTHORIZATION, self.value.clone());
        request
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.0.name).finish()
    }
}
