//! The service's own settings, `app.*`.
//!
//! Next: [`crate::links`].

use std::path::PathBuf;

use chassis::{
    config::{Check, Secret, SettingError, SettingErrors},
    identity::{ApiKey, OidcSettings},
    jobs::{self, Schedule},
    postgres,
    upstream::{self, Upstream},
};
use http::{HeaderName, HeaderValue, Method, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tower_http::cors::CorsLayer;

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the links are.
    pub database: postgres::Settings,
    /// Keys that may call `/v1`.
    pub api_keys: Vec<ApiKey>,
    /// The issuer of tokens that may call `/v1`, with the scope `links`; unset: keys alone.
    pub login: OidcSettings,
    /// Origins whose pages may call `/v1`, such as `https://admin.example`.
    pub cors_origins: Vec<String>,
    /// The files below `/static`.
    pub public_dir: PathBuf,
    /// Who runs jobs, and how.
    pub jobs: jobs::Settings,
    /// When links that have expired are deleted: `minute hour day month weekday`, in UTC.
    pub purge: String,
    /// A service that is told of new links, by a POST to its `/events`; unset: none.
    pub webhook_url: Option<String>,
    /// The key of the events' signatures.
    pub webhook_secret: Option<Secret>,
    /// The client of that service.
    pub webhook: upstream::Settings,
    /// A service that says whether a URL may be linked to; unset: all may.
    pub reputation_url: Option<String>,
    /// The client of that service.
    pub reputation: upstream::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database: postgres::Settings::default(),
            api_keys: Vec::new(),
            login: OidcSettings::default(),
            cors_origins: Vec::new(),
            public_dir: "public".into(),
            jobs: jobs::Settings::default(),
            // A link that has expired is not followed any more; its row may wait for the night.
            purge: "0 3 * * *".into(),
            webhook_url: None,
            webhook_secret: None,
            webhook: upstream::Settings::default(),
            reputation_url: None,
            reputation: upstream::Settings::default(),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        if self.cors_origins.iter().any(|origin| HeaderValue::from_str(origin).is_err()) {
            errors.push(SettingError::new("cors_origins", "expected origins such as https://admin.example"));
        }
        for (key, url) in [("reputation_url", &self.reputation_url), ("webhook_url", &self.webhook_url)] {
            if let Some(Err(error)) = url.as_deref().map(Upstream::check_url) {
                errors.push(SettingError::new(key, error.to_string()));
            }
        }
        if let Err(error) = Schedule::parse(&self.purge) {
            errors.push(SettingError::new("purge", error.to_string()));
        }
        self.jobs.check("jobs", errors);
        self.webhook.check("webhook", errors);
        self.database.check("database", errors);
        self.reputation.check("reputation", errors);
        if self.login.is_set() {
            self.login.check("login", errors);
        }
    }
}

impl Settings {
    /// What pages of other origins may do.
    pub(crate) fn cors(&self) -> CorsLayer {
        let origins = self.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        CorsLayer::new()
            .allow_origin(origins.collect::<Vec<_>>())
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("x-api-key")])
    }
}
