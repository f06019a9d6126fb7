//! The accept loop.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chassis::config::{Auto, Duration, Size};

/// Settings `server.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// URLs to listen on: `http://host:port`.
    pub listen: Vec<String>,
    /// How many connections the kernel holds before they are accepted; it caps this by `net.core.somaxconn`.
    pub backlog: u32,
    /// Open connections at most. `auto` takes it from the open-file limit and the memory limit, less a reserve; at the cap the longest-idle connection makes room.
    pub max_connections: Auto<usize>,
    /// From connect to the first byte, and from the first byte to the full head. Reloadable.
    pub header_timeout: Duration,
    /// How long a keep-alive connection may idle; above what common balancers keep. Reloadable.
    pub idle_timeout: Duration,
    /// A handler's budget up to the response head; answers 504. Reloadable.
    pub request_timeout: Duration,
    /// How long an upload may make no progress; answers 408. Reloadable.
    pub body_timeout: Duration,
    /// How long a reader may make no progress. Reloadable.
    pub write_timeout: Duration,
    /// Bytes a second below which an upload or a reader counts as stalled, after 5 s of waiting; `0B` turns it off. Reloadable.
    pub min_rate: Size,
    /// Largest request body; answers 413. Reloadable.
    pub max_body: Size,
    /// Largest request head; answers 431.
    pub max_head: Size,
    /// Longest request target; answers 414.
    pub max_uri: Size,
    /// Age at which a connection is asked to close, with a jitter of 10 % each way; `0` turns it off. Reloadable.
    pub max_connection_age: Duration,
    /// Age at which an upgraded connection (a WebSocket) is told to end; `0` turns it off. Reloadable.
    pub max_upgrade_age: Duration,
    /// Requests after which a connection is asked to close; `0` turns it off. Reloadable.
    pub max_requests_per_connection: u64,
    /// Networks whose deadline and forwarding headers are believed: loopback and the private ranges by default.
    #[schemars(with = "Vec<String>")]
    pub trusted_peers: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec!["http://[::]:8080".into()],
            // 1,024: a second's worth of new connections at a high rate; the kernel's own cap is 4,096.
            backlog: 1024,
            max_connections: Auto::Auto,
            header_timeout: Duration::from_secs(10),
            // 620 s: above the 600 s that GCP's balancers keep an idle connection.
            idle_timeout: Duration::from_secs(620),
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            // 240 B/s: what Kestrel and IIS hold for slower than any real client.
            min_rate: Size::bytes(240),
            max_body: Size::mib(2),
            // 32 KiB: nginx's four buffers of 8 KiB.
            max_head: Size::kib(32),
            max_uri: Size::kib(8),
            max_connection_age: Duration::from_secs(60),
            max_upgrade_age: Duration::from_secs(3600),
            max_requests_per_connection: 0,
            trusted_peers: private_networks(),
        }
    }
}

impl Settings {
    /// Whether `peer` is in `trusted_peers`; an IPv4 address mapped into IPv6 counts as itself.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_peers.iter().any(|net| net.contains(&peer))
    }
}

/// Loopback, RFC 1918, RFC 6598 and RFC 4193.
fn private_networks() -> Vec<IpNet> {
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"]
        .iter()
        .map(|net| net.parse().expect("a network constant"))
        .collect()
}
