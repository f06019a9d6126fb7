//! Settings `admin.*`.
//!
//! Next: `guard`, which holds requests to them.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    connection,
    values::{Check, Duration, SettingErrors},
};

/// Settings `admin.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the admin listener. The default lets in nobody from outside; image and chart set `[::]:8081`, where probes come from. Never expose it beyond the cluster.
    pub listen: String,
    /// Allows `PUT /log-filter` and `PUT /faults`.
    pub mutable: bool,
    /// Names that the `Host` of a PUT may have, beside IP addresses and `localhost`. A page in a browser that reaches this listener comes by a name of its own.
    pub hosts: Vec<String>,
    /// From connect to the first byte, and from the first byte to the full head.
    pub header_timeout: Duration,
    /// How long a body may take in all; answers 408.
    pub body_timeout: Duration,
    /// How long a reader may make no progress.
    pub write_timeout: Duration,
    /// How long a request may take in all, from its head until its response is out.
    pub request_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Loopback: what has no authentication is opened by whoever knows the network.
            listen: "127.0.0.1:8081".into(),
            mutable: false,
            hosts: Vec::new(),
            // 2 s: probes and scrapes come from the same network, and a probe's own timeout is a second.
            header_timeout: Duration::from_secs(2),
            // 5 s each: a scrape's timeout is 10 s, and what takes longer than half of it is held, not slow.
            body_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        let message = "expected an IP address and a port, such as [::]:8081 or 0.0.0.0:8081";
        errors.require(self.listen.parse::<SocketAddr>().is_ok(), "listen", message);
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

/// 8: who sends hundreds at once and reads nothing is soon done with; a scraper hardly notices a new connection every
/// few minutes.
const MAX_REQUESTS: u64 = 8;

impl Settings {
    /// What the connections of the admin listener are held to.
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
