//! Where an issuer's keys are: its discovery document (`OpenID` Connect Discovery 1.0, section 4), and the keys themselves.
//!
//! Next: [`mod@super::signing_key`].

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::OidcSettings;
use crate::upstream::{UpstreamError, Upstreams, endpoint::Endpoint};

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Fetches the keys, wherever the issuer says they are.
pub(super) struct Discovery {
    name: &'static str,
    settings: OidcSettings,
    upstreams: Upstreams,
    document: Endpoint,
    /// Kept while the URL stays, with its connections.
    keys: Mutex<Option<(String, Endpoint)>>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Discovery {
    pub(super) fn new(
        name: &'static str,
        settings: &OidcSettings,
        upstreams: &Upstreams,
    ) -> Result<Self, UpstreamError> {
        let url = format!("{}{WELL_KNOWN}", settings.issuer.trim_end_matches('/'));
        let document = Endpoint::new(upstreams, name, &url, &settings.client)?;
        Ok(Self { name, settings: settings.clone(), upstreams: upstreams.clone(), document, keys: Mutex::default() })
    }

    /// The keys as they are published.
    pub(super) async fn keys(&self) -> Result<Vec<Value>, String> {
        let url = match &self.settings.keys_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let endpoint = self.endpoint(url).map_err(|error| format!("the URL of the keys: {}", error.reason()))?;
        read::<KeySet>(&endpoint, "key set").await.map(|set| set.keys)
    }

    async fn discover(&self) -> Result<String, String> {
        let document: Document = read(&self.document, "discovery document").await?;
        // Section 4.3: exactly, or another issuer's keys would be taken for this one's.
        if document.issuer != self.settings.issuer {
            return Err(format!("the discovery document is that of another issuer: {:.200}", document.issuer));
        }
        if self.settings.issuer.starts_with("https:") && !document.jwks_uri.starts_with("https:") {
            return Err("the discovery document names keys without https".to_owned());
        }
        Ok(document.jwks_uri)
    }

    fn endpoint(&self, url: String) -> Result<Endpoint, UpstreamError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, endpoint)) = keys.as_ref()
            && *known == url
        {
            return Ok(endpoint.clone());
        }
        let endpoint = Endpoint::new(&self.upstreams, self.name, &url, &self.settings.client)?;
        *keys = Some((url, endpoint.clone()));
        Ok(endpoint)
    }
}

async fn read<T: DeserializeOwned>(endpoint: &Endpoint, what: &str) -> Result<T, String> {
    let response = endpoint.get().await.map_err(|error| format!("{what}: {}", error.reason()))?;
    if !response.status().is_success() {
        return Err(format!("{what}: the issuer responded with status {}", response.status()));
    }
    serde_json::from_slice(response.body()).map_err(|_| format!("{what}: the issuer's response cannot be read"))
}
