//! Settings `admin.*`.
//!
//! Next: `guard`, which enforces them.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    connection,
    values::{Check, Duration, SettingErrors, meant},
};

/// Settings `admin.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the admin listener. The default accepts only local connections; the image and the chart set `[::]:8081` for the kubelet's probes. Never expose it beyond the cluster.
    pub listen: String,
    /// Allows `PUT /log-filter` and `PUT /faults`.
    pub mutable: bool,
    /// Names allowed in the `Host` of a PUT, besides IP addresses and `localhost`. This blocks browser pages that reach this listener by DNS rebinding.
    pub hosts: Vec<String>,
    /// Time limit from connect to the first byte, and again from the first byte to the complete head.
    pub header_timeout: Duration,
    /// How long a request body may take in total; then 408.
    pub body_timeout: Duration,
    /// How long a client may read nothing of a response.
    pub write_timeout: Duration,
    /// How long a request may take in total, from its head to the end of its response.
    pub request_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Loopback: the listener has no authentication, so opening it to a network is the operator's decision.
            listen: "127.0.0.1:8081".into(),
            mutable: false,
            hosts: Vec::new(),
            // 2 s: probes and scrapes come from the same network, and a probe's own timeout is a second.
            header_timeout: Duration::from_secs(2),
            // 5 s each: a scrape's timeout is 10 s, and a request that takes half of it is being held open.
            body_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        let message = "expected an IP address and a port, such as [::]:8081 or 0.0.0.0:8081";
        let message = meant::with_guess(message, meant::address(&self.listen));
        errors.require(self.listen.parse::<SocketAddr>().is_ok(), "listen", &message);
        for (key, timeout) in [
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            errors.require(timeout > Duration::default(), key, "expected a duration above zero");
        }
        for (index, name) in self.hosts.iter().enumerate() {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let sane = !name.is_empty() && name.bytes().all(is_name);
            errors.require(sane, &format!("hosts[{index}]"), "expected a host name, without a port");
        }
    }
}

/// 8: a peer that sends hundreds at once and reads nothing is cut off soon; a scraper hardly notices a new connection every
/// few minutes.
const MAX_REQUESTS: u64 = 8;

impl Settings {
    /// The limits of the admin listener's connections.
    pub(super) fn of_connections(&self) -> connection::Settings {
        connection::Settings {
            header_timeout: self.header_timeout,
            write_timeout: self.write_timeout,
            max_connection_age: Duration::default(),
            max_requests_per_connection: MAX_REQUESTS,
            ..connection::Settings::default()
        }
    }
}
