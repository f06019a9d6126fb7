//! The keys of an issuer: renewed in the background, and at the first token with a key that is not known.
//!
//! Next: [`super::settings`].

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tracing::warn;

use super::{OidcSettings, discovery::Discovery, signing_key::SigningKey};
use crate::{
    identity::refusal::Refusal,
    upstream::{UpstreamError, Upstreams, renewal::Renewals},
};

pub(super) struct Store {
    name: &'static str,
    settings: OidcSettings,
    discovery: Discovery,
    known: ArcSwap<Known>,
    renewals: Renewals,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<SigningKey>>,
    /// When they came; none before the first.
    since: Option<Instant>,
}

impl Store {
    pub(super) fn new(
        name: &'static str,
        settings: &OidcSettings,
        upstreams: &Upstreams,
    ) -> Result<Self, UpstreamError> {
        let pause = settings.renew_pause.get();
        Ok(Self {
            name,
            settings: settings.clone(),
            discovery: Discovery::new(name, settings, upstreams)?,
            known: ArcSwap::default(),
            // Always the same pause: the issuer's return should be noticed, and replicas are spread already.
            renewals: Renewals::new(pause, pause),
        })
    }

    /// Renews the keys when it is time.
    ///
    /// # Errors
    /// Why the last renewal failed.
    pub(super) async fn keep(self: &Arc<Self>) -> Result<(), String> {
        let this = Arc::clone(self);
        let is_due =
            move || this.known.load().since.is_none_or(|since| since.elapsed() >= this.settings.renew_every.get());
        self.renew_if(is_due).await
    }

    /// The key with this id.
    pub(super) async fn find(self: &Arc<Self>, id: &str) -> Result<Arc<SigningKey>, Refusal> {
        if let Some(key) = self.usable(id) {
            return Ok(key);
        }
        let (this, wanted) = (Arc::clone(self), id.to_owned());
        // What went wrong is logged there.
        let _ = self.renew_if(move || this.usable(&wanted).is_none()).await;
        if self.is_expired() {
            return Err(Refusal::Unavailable("the issuer's keys are not known".into()));
        }
        self.usable(id).ok_or(Refusal::Invalid("an unknown key".into()))
    }

    fn usable(&self, id: &str) -> Option<Arc<SigningKey>> {
        if self.is_expired() { None } else { self.known.load().keys.get(id).cloned() }
    }

    /// Whether there are no keys, or none any more.
    fn is_expired(&self) -> bool {
        self.known.load().since.is_none_or(|since| since.elapsed() >= self.settings.keep_for.get())
    }

    async fn renew_if(self: &Arc<Self>, is_needed: impl Fn() -> bool + Send + 'static) -> Result<(), String> {
        let this = Arc::clone(self);
        self.renewals.run(is_needed, || async move { this.renew().await }).await
    }

    async fn renew(&self) -> Result<(), String> {
        let keys = self.fetch().await.inspect_err(|error| {
            warn!(guard = self.name, error, "cannot renew the issuer's keys");
        })?;
        self.known.store(Arc::new(Known { keys, since: Some(Instant::now()) }));
        Ok(())
    }

    /// A key set without a usable key is a mistake of the issuer's, and takes no key away.
    async fn fetch(&self) -> Result<HashMap<String, Arc<SigningKey>>, String> {
        let published = self.discovery.keys().await?;
        let read = published.iter().filter_map(|key| SigningKey::read(key, &self.settings));
        let keys: HashMap<_, _> = read.map(|key| (key.id.clone(), Arc::new(key))).collect();
        if keys.is_empty() { Err("the issuer publishes no key that can be used".to_owned()) } else { Ok(keys) }
    }
}
