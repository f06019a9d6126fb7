//! Tokens of an `OpenID` Connect issuer that are JWTs: RFC 7519, checked as RFC 9068, section 4, says.
//!
//! The issuer is asked for its keys, never about a token. While it is away, tokens of known keys are admitted; until the first
//! keys are there, protected routes return 503 and the soft check says why.
//!
//! Next: [`mod@store`].

mod discovery;
mod settings;
mod signing_key;
mod store;

use std::{fmt, sync::Arc};

use http::request::Parts;
use jsonwebtoken::{Algorithm, Header, crypto::aws_lc, decode_header};

pub use self::settings::OidcSettings;
use self::store::Store;
use super::{
    Caller, Guard, IdentityError, bearer,
    guard::{Proof, Prove},
    refusal::Refusal,
};
use crate::{
    health::{Check, Checks, Kind},
    openapi::Scheme,
    upstream::Upstreams,
};

/// RFC 7515 and RFC 9068: other kinds of tokens, such as for a logout, are signed with the same keys.
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];

/// An issuer and its keys; clones share them.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    name: &'static str,
    settings: OidcSettings,
    store: Arc<Store>,
}

impl Oidc {
    /// Begins to keep the issuer's keys, by a soft check in `checks`. `name` is that check's name, the scheme's name in the
    /// description, and the label of the issuer's calls in metrics and spans.
    ///
    /// # Errors
    /// When the issuer cannot be called, see [`Upstreams::client`], or there is a check of this name.
    pub fn new(
        name: &'static str,
        settings: &OidcSettings,
        upstreams: &Upstreams,
        checks: &Checks,
    ) -> Result<Self, IdentityError> {
        // An app that has turned on jsonwebtoken's other provider, too, must choose one, or the first token would panic. One
        // that has chosen keeps its choice.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let store = Arc::new(Store::new(name, settings, upstreams)?);
        let kept = Arc::clone(&store);
        let check = Check::new(name, Kind::Soft, move || {
            let kept = Arc::clone(&kept);
            async move { kept.keep().await }
        });
        // Twice the client's timeout: discovery and keys are two calls.
        checks.register(check.every(settings.renew_pause.get()).within(settings.client.timeout.get() * 2))?;
        Ok(Self(Arc::new(Inner { name, settings: settings.clone(), store })))
    }

    /// Succeeds once there are keys: `chassis.before_ready("login", move || oidc.loaded())` for a service that can do nothing
    /// without them. A rollout stops then while the issuer is away, and the old replicas go on with the keys that they have.
    ///
    /// # Errors
    /// Why there are none yet.
    pub fn loaded(&self) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let store = Arc::clone(&self.0.store);
        async move { store.keep().await }
    }

    /// Admits requests with a valid token.
    pub fn guard(&self) -> Guard {
        self.require([])
    }

    /// Admits requests with a valid token that has all of these scopes.
    pub fn require<const N: usize>(&self, scopes: [&'static str; N]) -> Guard {
        Guard::new(self.0.name, Scheme::Bearer, &scopes, Arc::new(self.clone()))
    }
}

impl Prove for Oidc {
    fn prove<'a>(&'a self, head: &'a Parts) -> Proof<'a> {
        Box::pin(async move {
            let token = bearer::token(&head.headers, self.0.settings.max_token)?;
            let id = key_id(token)?;
            let key = self.0.store.find(&id).await?;
            let claims = key.verify(token).map_err(Refusal::invalid)?;
            let subject = claims.get("sub").and_then(|subject| subject.as_str()).unwrap_or_default().to_owned();
            Ok(Caller::from_claims(&subject, claims))
        })
    }
}

/// The id of the key that a token says it is signed with. Nothing else of the header is used, and what would change the
/// meaning of the token is refused: `crit` of RFC 7515, section 4.1.11, and other types.
fn key_id(token: &str) -> Result<String, Refusal> {
    let header: Header = decode_header(token).map_err(|_| Refusal::invalid("not a JWT with a known algorithm"))?;
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err(Refusal::invalid("a symmetric algorithm"));
    }
    if header.crit.is_some() {
        return Err(Refusal::invalid("a critical extension"));
    }
    let is_access_token = header.typ.is_none_or(|found| TYPES.iter().any(|known| known.eq_ignore_ascii_case(&found)));
    if !is_access_token {
        return Err(Refusal::invalid("not an access token"));
    }
    header.kid.ok_or(Refusal::invalid("no key id"))
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Oidc").field(&self.0.name).finish()
    }
}
