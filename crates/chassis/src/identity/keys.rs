//! API keys: of the settings, or of a table.
//!
//! What is compared is the SHA-256 of a key, all of them and in constant time: nothing of a key can be learned from how long a
//! refusal takes. `api_key_requests_total` says by name which keys are still in use, so that an old one can be removed.
//!
//! Next: [`super::introspection`].

use std::{fmt, pin::Pin, sync::Arc};

use http::{HeaderName, request::Parts};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use subtle::ConstantTimeEq as _;
use tracing::warn;

use super::{
    ApiKey, Caller, Guard, IdentityError,
    bearer::only,
    guard::{Proof, Prove},
    key::{KeyDigest, digest},
    refusal::Refusal,
};
use crate::openapi::Scheme;

/// The keys that may call.
#[derive(Clone)]
pub struct ApiKeys {
    name: &'static str,
    header: &'static str,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Listed(Arc<[Listed]>),
    LookedUp(Arc<LookUp>),
}

struct Listed {
    caller: Caller,
    digest: KeyDigest,
    used: IntCounter,
}

type Found = Pin<Box<dyn Future<Output = Result<Option<Caller>, String>> + Send>>;

type LookUp = dyn Fn(KeyDigest) -> Found + Send + Sync;

impl ApiKeys {
    /// The keys of the settings; without one nobody is admitted. `name` is the scheme's name in the description.
    ///
    /// # Errors
    /// When `registry` has the metrics of another list of this name.
    pub fn new(name: &'static str, keys: &[ApiKey], registry: &Registry) -> Result<Self, IdentityError> {
        let used = Opts::new("api_key_requests_total", "Requests that an API key of this name has admitted.");
        let used = IntCounterVec::new(used.const_label("guard", name), &["key"])?;
        registry.register(Box::new(used.clone()))?;
        let listed = |key: &ApiKey| Listed {
            caller: Caller::new(key.name()),
            digest: *key.digest(),
            used: used.with_label_values(&[key.name()]),
        };
        Ok(Self { name, header: "x-api-key", source: Source::Listed(keys.iter().map(listed).collect()) })
    }

    /// The keys of a table: `find` gets the SHA-256 of a key, and gives whose it is. It is asked at each request, and an error
    /// is a 503.
    #[must_use]
    pub fn looked_up<F, E>(name: &'static str, find: impl Fn(KeyDigest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Caller>, E>> + Send + 'static,
        E: fmt::Display,
    {
        let find = move |digest| -> Found {
            let found = find(digest);
            Box::pin(async move { found.await.map_err(|error| error.to_string()) })
        };
        Self { name, header: "x-api-key", source: Source::LookedUp(Arc::new(find)) }
    }

    /// Reads keys from the header of this name instead of `x-api-key`.
    ///
    /// # Panics
    /// On a name that is none of a header, in lower case.
    #[must_use]
    pub fn in_header(self, header: &'static str) -> Self {
        let _ = HeaderName::from_static(header);
        Self { header, ..self }
    }

    /// Admits requests with one of the keys.
    pub fn guard(&self) -> Guard {
        self.require([])
    }

    /// Admits requests with a key whose caller has all of these scopes. Keys of the settings have none.
    pub fn require<const N: usize>(&self, scopes: [&'static str; N]) -> Guard {
        let prover = Prover { header: HeaderName::from_static(self.header), source: self.source.clone() };
        Guard::new(self.name, Scheme::ApiKeyHeader(self.header), &scopes, Arc::new(prover))
    }
}

struct Prover {
    header: HeaderName,
    source: Source,
}

impl Prove for Prover {
    fn prove<'a>(&'a self, head: &'a Parts) -> Proof<'a> {
        Box::pin(async move {
            let given = digest(only(&head.headers, &self.header)?.as_bytes());
            match &self.source {
                Source::Listed(keys) => listed(keys, &given),
                Source::LookedUp(find) => looked_up(find(given).await),
            }
        })
    }
}

/// Compares with every key, whichever it is.
fn listed(keys: &[Listed], given: &KeyDigest) -> Result<Caller, Refusal> {
    let mut found = None;
    for key in keys {
        if bool::from(key.digest.ct_eq(given)) {
            found = Some(key);
        }
    }
    let key = found.ok_or(Refusal::Invalid("unknown key".into()))?;
    key.used.inc();
    Ok(key.caller.clone())
}

fn looked_up(found: Result<Option<Caller>, String>) -> Result<Caller, Refusal> {
    match found {
        Ok(Some(caller)) => Ok(caller),
        Ok(None) => Err(Refusal::Invalid("unknown key".into())),
        Err(error) => {
            warn!(error, "cannot look up an API key");
            Err(Refusal::Unavailable("the lookup failed".into()))
        }
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("name", &self.name).field("header", &self.header).finish_non_exhaustive()
    }
}
