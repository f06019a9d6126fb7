//! Settings of an upstream client; an app embeds one per upstream.
//!
//! Next: [`super::target`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    trust,
    values::{Duration, SettingError, SettingErrors, Size},
};

/// Settings of one upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a call may take in total, including retries and the response body; the request's deadline may be shorter.
    pub timeout: Duration,
    /// Maximum number of retries of an idempotent call.
    pub retries: u32,
    /// Largest response body.
    pub max_body: Size,
    /// Consecutive failures that open the circuit breaker.
    pub breaker_failures: u32,
    /// Longest pause of the circuit breaker before it tests the upstream again.
    pub breaker_max_pause: Duration,
    /// PEM file with the authorities that may have issued the certificate of an `https` upstream, instead of Mozilla's list; it is read at the start.
    pub ca_file: Option<String>,
    /// PEM file with the certificate and its chain that an `https` upstream may ask for; it is read at the start.
    pub client_certificate_file: Option<String>,
    /// PEM file with the key of `client_certificate_file`.
    pub client_key_file: Option<String>,
    /// Age at which connections are renewed, with a jitter of ±10 %.
    pub max_connection_age: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // 1 s: inside a cluster a connection opens in milliseconds, and one lost SYN is sent again after 1 s.
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            retries: 2,
            max_body: Size::mib(1),
            // 5: fewer would open on isolated failures during a rollout.
            breaker_failures: 5,
            breaker_max_pause: Duration::from_secs(30),
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            // 60 s: as `server.max_connection_age`, so that both ends renew at one pace.
            max_connection_age: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// Validates beyond the types; `key` is the path of these settings, such as `app.rates`.
    pub fn check(&self, key: &str, errors: &mut SettingErrors) {
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("timeout", self.timeout),
            ("breaker_max_pause", self.breaker_max_pause),
            ("max_connection_age", self.max_connection_age),
        ];
        for (name, duration) in durations {
            if duration.is_zero() {
                errors.push(SettingError::new(format!("{key}.{name}"), "must be above zero"));
            }
        }
        if self.connect_timeout > self.timeout {
            let keys = ["connect_timeout", "timeout"].map(|name| format!("{key}.{name}"));
            errors.push(SettingError::between(keys, "connect_timeout must not be longer than timeout"));
        }
        if self.breaker_failures == 0 {
            errors.push(SettingError::new(format!("{key}.breaker_failures"), "must be above zero"));
        }
        let files = [
            ("ca_file", &self.ca_file),
            ("client_certificate_file", &self.client_certificate_file),
            ("client_key_file", &self.client_key_file),
        ];
        for (name, _) in files.iter().filter(|(_, file)| file.is_some() && !trust::AVAILABLE) {
            errors.push(SettingError::new(format!("{key}.{name}"), trust::MISSING));
        }
        if self.client_certificate_file.is_some() != self.client_key_file.is_some() {
            let keys = ["client_certificate_file", "client_key_file"].map(|name| format!("{key}.{name}"));
            errors.push(SettingError::between(keys, "a certificate needs its key, and a key its certificate"));
        }
        if self.max_body.is_empty() {
            errors.push(SettingError::new(format!("{key}.max_body"), "must be above zero"));
        }
    }
}
