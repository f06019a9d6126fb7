//! The part of `server.*` for connections; [`crate::server::Settings`] has its keys and their meaning.
//!
//! Next: [`super::limits`].

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    peer::{MAX_HEAD, MAX_HEADERS, MIN_RATE},
    runtime,
    values::{Auto, Check, Duration, MOST, SettingErrors, Size},
};

/// Bounds of connections, by the names of their keys below `server`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) max_connections: Auto<usize>,
    pub(crate) header_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) min_rate: Size,
    pub(crate) max_response_memory: Size,
    pub(crate) max_response_buffer: Size,
    pub(crate) max_head: Size,
    pub(crate) max_headers: usize,
    pub(crate) max_connection_age: Duration,
    pub(crate) max_upgrade_age: Duration,
    pub(crate) upgrade_idle_timeout: Duration,
    pub(crate) max_requests_per_connection: u64,
    pub(crate) trusted_peers: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: Auto::Auto,
            header_timeout: Duration::from_secs(10),
            // 620 s: above the 600 s that GCP's balancers keep an idle connection.
            idle_timeout: Duration::from_secs(620),
            write_timeout: Duration::from_secs(30),
            min_rate: MIN_RATE,
            // Found from the memory limit.
            max_response_memory: Size::bytes(0),
            max_response_buffer: Size::bytes(0),
            max_head: MAX_HEAD,
            max_headers: MAX_HEADERS,
            max_connection_age: Duration::from_secs(60),
            max_upgrade_age: Duration::from_secs(3600),
            // 60 s: the idle timeout of nginx and ALB, so clients behind them already ping that often.
            upgrade_idle_timeout: Duration::from_secs(60),
            max_requests_per_connection: 0,
            trusted_peers: private_networks(),
        }
    }
}

/// Loopback, RFC 1918, RFC 6598 and RFC 4193.
fn private_networks() -> Vec<IpNet> {
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"]
        .iter()
        .map(|net| net.parse().expect("a network constant"))
        .collect()
}

impl Settings {
    /// Limits for buffered response bytes, with as much memory as is allowed: in total, and per connection.
    pub(super) fn response_bytes(&self, memory: Option<u64>) -> (usize, usize) {
        let all = match self.max_response_memory.len() {
            0 => runtime::response_memory(memory),
            set => set,
        };
        let each = match self.max_response_buffer.len() {
            0 => all / 2,
            set => set,
        };
        (all, each)
    }

    /// Whether `peer` is in `trusted_peers`; an IPv4 address mapped into IPv6 counts as itself.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_peers.iter().any(|net| net.contains(&peer))
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        for (key, timeout) in [
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            errors.require(timeout > Duration::default(), key, "expected a duration above zero");
        }
        let most = !matches!(self.max_connections, Auto::Value(connections) if connections > MOST);
        errors.require(most, "max_connections", "expected `auto`, or at most 1000000");
    }
}
