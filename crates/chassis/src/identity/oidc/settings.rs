//! Settings of an issuer; an app embeds one for each.
//!
//! Next: [`super::discovery`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    identity::bearer::MAX_TOKEN,
    upstream::{self, endpoint::Endpoint},
    values::{Duration, SettingError, SettingErrors, Size},
};

/// Settings of [`Oidc`](super::Oidc).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OidcSettings {
    /// The issuer, exactly as its tokens and its discovery document say it: `https://login.example/`.
    pub issuer: String,
    /// What a token must be for; one of these. An issuer has tokens for many services.
    pub audiences: Vec<String>,
    /// Where the issuer's keys are (JWKS), for an issuer without a discovery document.
    pub keys_url: Option<String>,
    /// How far the issuer's clock may be ahead or behind.
    pub leeway: Duration,
    /// Longest token.
    pub max_token: Size,
    /// How often the keys are renewed. A key that the issuer has withdrawn is accepted as long.
    pub renew_every: Duration,
    /// Shortest time between two renewals, also for tokens with an unknown key: forged ones must not load the issuer.
    pub renew_pause: Duration,
    /// How long keys are used while the issuer is away; then there are none.
    pub keep_for: Duration,
    /// The client of the issuer.
    pub client: upstream::Settings,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audiences: Vec::new(),
            keys_url: None,
            // 60 s: more than clocks that are kept by NTP differ.
            leeway: Duration::from_secs(60),
            max_token: MAX_TOKEN,
            // 5 min: issuers publish a key hours before they use it, and a withdrawn one is soon refused.
            renew_every: Duration::from_secs(300),
            // 10 s: a hundred replicas ask ten times a second at most, whatever is sent to them.
            renew_pause: Duration::from_secs(10),
            // A day: longer than outages, shorter than a key that leaked should live.
            keep_for: Duration::from_secs(24 * 3600),
            client: upstream::Settings::default(),
        }
    }
}

impl OidcSettings {
    /// Whether there is an issuer: an app that can do without one says so by leaving it out.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// Validates beyond the types; `key` is the path of these settings, such as `app.login`.
    pub fn check(&self, key: &str, errors: &mut SettingErrors) {
        let urls = [("issuer", Some(&self.issuer)), ("keys_url", self.keys_url.as_ref())];
        for (name, url) in urls {
            if let Some(Err(error)) = url.map(|url| Endpoint::check(url)) {
                errors.push(SettingError::new(format!("{key}.{name}"), error.to_string()));
            }
        }
        let is_named = !self.audiences.is_empty() && self.audiences.iter().all(|audience| !audience.is_empty());
        errors.require(is_named, &format!("{key}.audiences"), "must name at least one audience");
        errors.require(!self.max_token.is_empty(), &format!("{key}.max_token"), "must be above zero");
        let durations =
            [("renew_every", self.renew_every), ("renew_pause", self.renew_pause), ("keep_for", self.keep_for)];
        for (name, duration) in durations {
            errors.require(!duration.is_zero(), &format!("{key}.{name}"), "must be above zero");
        }
        if self.keep_for < self.renew_every {
            let keys = ["keep_for", "renew_every"].map(|name| format!("{key}.{name}"));
            errors.push(SettingError::between(keys, "keys must be kept for longer than until their renewal"));
        }
        self.client.check(&format!("{key}.client"), errors);
    }
}
