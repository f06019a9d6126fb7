//! The app's own settings, `app.*`. Next: [`super::error`].

use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use chassis::{
    config::{Check, Duration, SettingError, SettingErrors},
    upstream::{self, Upstream},
    wsgi,
};

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Origins whose pages may call `/v1/quotes` and `/v1/rates`, such as `https://shop.example`; empty: none.
    pub cors_origins: Vec<String>,
    /// A service with `GET /v1/rates`, such as another deployment of this one; unset uses the built-in table.
    pub rates_url: Option<String>,
    /// Maximum age of fetched rates; they are refreshed at half of it.
    pub rates_max_age: Duration,
    /// The client of that service.
    pub rates_client: upstream::Settings,
    // Python only: delete both fields, and their lines below, if you have none.
    /// A Python WSGI application, `module:callable`, that serves every path without a Rust route. Needs the cargo feature `wsgi`.
    pub wsgi: Option<String>,
    /// The Python interpreter that runs it.
    pub python: wsgi::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            rates_url: None,
            // 60 s: prices change by the day, and a minute bounds how long two replicas may differ.
            rates_max_age: Duration::from_secs(60),
            rates_client: upstream::Settings::default(),
            wsgi: None,
            python: wsgi::Settings::default(),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        if self.cors_origins.iter().any(|origin| !is_origin(origin)) {
            errors.push(SettingError::new(
                "cors_origins",
                "expected origins such as https://shop.example, without a path",
            ));
        }
        if let Some(Err(error)) = self.rates_url.as_deref().map(Upstream::check_url) {
            errors.push(SettingError::new("rates_url", error.to_string()));
        }
        if self.rates_max_age.is_zero() {
            errors.push(SettingError::new("rates_max_age", "must be above zero"));
        }
        // A nested section: its key goes first.
        self.rates_client.check("rates_client", errors);
        self.python.check("python", "wsgi", self.wsgi.as_deref(), errors);
    }
}

/// A scheme, a host and perhaps a port, as browsers send it (RFC 6454, section 6.2): no path, no slash at the end.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    matches!(uri.scheme_str(), Some("http" | "https"))
        && host
        && uri.path() == "/"
        && !text.ends_with('/')
        && uri.query().is_none()
}
