//! The current rates: those of the upstream while they are fresh enough, otherwise the built-in table.
//!
//! The background check refreshes them, so a request seldom waits. One that does waits briefly, and many share one
//! fetch. A URL that points back to this service is harmless: the response is the built-in table. Next: `table`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{
    request,
    upstream::{Upstream, UpstreamError, Upstreams},
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{self, Instant};
use tracing::{Instrument, debug};

use super::Table;
use crate::app::Settings;

/// 1 s: how long a request waits for rates before it uses the built-in ones, and the pause after a failure.
const PATIENCE: Duration = Duration::from_secs(1);

/// The source of the rates in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The table of this program.
    BuiltIn,
    /// The upstream, fetched for this request.
    Upstream,
    /// The upstream, fetched earlier.
    Cached,
}

/// The rates that hold now.
#[derive(Clone, Debug)]
pub struct Current {
    /// The table.
    pub table: Arc<Table>,
    /// Where it came from.
    pub source: Source,
}

/// Why the upstream's rates cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("calling the upstream: {}", .0.reason())]
    Upstream(#[from] UpstreamError),
    #[error("the upstream's rate table has missing or implausible prices")]
    Unsound,
}

/// The rates: fetched, cached, built in.
#[derive(Debug)]
pub struct Book {
    built_in: Arc<Table>,
    upstream: Option<Upstream>,
    max_age: Duration,
    shelf: Mutex<Shelf>,
    /// Held while fetching, so that many requests make one call.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Shelf {
    fetched: Option<(Arc<Table>, Instant)>,
    failed: Option<Instant>,
}

impl Book {
    /// Reads `app.rates_*`.
    ///
    /// # Errors
    /// When the URL does not fit.
    pub fn new(settings: &Settings, upstreams: &Upstreams) -> Result<Self, UpstreamError> {
        let client = |url| upstreams.client("rates", url, &settings.rates_client);
        Ok(Self {
            built_in: Arc::new(Table::built_in()),
            upstream: settings.rates_url.as_deref().map(client).transpose()?,
            max_age: settings.rates_max_age.get(),
            shelf: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// The rates that hold now.
    pub async fn current(self: &Arc<Self>) -> Current {
        if self.upstream.is_none() {
            return self.fall_back();
        }
        match self.fetched() {
            Some((table, age)) => {
                if age >= self.max_age / 2 && self.fetching.try_lock().is_ok() && !self.failed_lately() {
                    tokio::spawn(Arc::clone(self).renew_if_due());
                }
                Current { table, source: Source::Cached }
            }
            None if self.failed_lately() => self.fall_back(),
            None => self.wait().await,
        }
    }

    /// In a separate task: the fetch serves all requests, and does not end with the one that started it.
    async fn wait(self: &Arc<Self>) -> Current {
        // It is still part of the request's trace.
        let renewal = Arc::clone(self).renew_if_due().in_current_span();
        let renewal = match request::current() {
            Some(context) => tokio::spawn(request::scope(context, renewal)),
            None => tokio::spawn(renewal),
        };
        let _ = time::timeout(PATIENCE, renewal).await;
        match self.fetched() {
            Some((table, _)) => Current { table, source: Source::Upstream },
            None => self.fall_back(),
        }
    }

    fn fall_back(&self) -> Current {
        Current { table: Arc::clone(&self.built_in), source: Source::BuiltIn }
    }

    /// Fetches the rates; what was fetched earlier stays when this fails, until it is too old.
    pub(super) async fn renew(&self) -> Result<(), FetchError> {
        let Some(upstream) = &self.upstream else { return Ok(()) };
        let _alone = self.fetching.lock().await;
        self.fetch(upstream).await
    }

    async fn renew_if_due(self: Arc<Self>) {
        let Some(upstream) = &self.upstream else { return };
        let _alone = self.fetching.lock().await;
        // The previous holder of the lock may have done it.
        let fresh = self.fetched().is_some_and(|(_, age)| age < self.max_age / 2);
        if fresh || self.failed_lately() {
            return;
        }
        if let Err(error) = self.fetch(upstream).await {
            // The check `rates` warns, once.
            debug!(%error, "cannot refresh the rates");
        }
    }

    async fn fetch(&self, upstream: &Upstream) -> Result<(), FetchError> {
        match download(upstream).await {
            Ok(table) => {
                *self.shelf() = Shelf { fetched: Some((Arc::new(table), Instant::now())), failed: None };
                Ok(())
            }
            Err(error) => {
                self.shelf().failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    /// The upstream's rates with their age, unless they are too old.
    fn fetched(&self) -> Option<(Arc<Table>, Duration)> {
        let (table, at) = self.shelf().fetched.clone()?;
        let age = at.elapsed();
        (age < self.max_age).then_some((table, age))
    }

    fn failed_lately(&self) -> bool {
        self.shelf().failed.is_some_and(|at| at.elapsed() < PATIENCE)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the background check renews: twice within the age, at least twice a minute, to see the
    /// upstream, but at most once a second.
    pub(super) fn renew_after(&self) -> Duration {
        (self.max_age / 2).clamp(PATIENCE, Duration::from_secs(30))
    }

    pub(super) fn max_age_seconds(&self) -> u64 {
        self.max_age.as_secs()
    }
}

async fn download(upstream: &Upstream) -> Result<Table, FetchError> {
    let table: Table = upstream.get_json("/v1/rates").await?;
    if table.is_sound() { Ok(table) } else { Err(FetchError::Unsound) }
}
