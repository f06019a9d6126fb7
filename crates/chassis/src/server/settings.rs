//! Settings `server.*`.
//!
//! Next: [`super::failures`].

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    runtime,
    values::{
        Auto, Check, Duration, MOST, Problem, Problems, Size, is_built_in,
        listen::{self, Address, Door, Listen, Refusal},
    },
};

/// Settings `server.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// URLs to listen on: `http://host:port`, `https://host:port` with the feature `tls`, or `http+unix:///path` for a Unix socket; with the feature `host` also `http+fd://NAME-or-N`, a socket that was passed.
    pub listen: Vec<String>,
    /// URLs of `listen`, of the schemes `http` and `https`, on which a trusted peer says by the PROXY protocol (1 or 2) whose connection it is; there it has to. For a build with the feature `proxy-protocol`.
    pub proxy_protocol: Vec<String>,
    /// Who may connect to a Unix socket, as chmod(1) writes it in octal.
    pub unix_mode: String,
    /// Who owns a Unix socket, as `user`, `user:group` or `:group`, by name or number; the process's own otherwise.
    pub unix_owner: Option<String>,
    /// How many connections the kernel holds before they are accepted; it caps this by `net.core.somaxconn`.
    pub backlog: u32,
    /// Open connections at most. `auto` takes it from the open-file limit and the memory limit, less a reserve; at the cap half-sent heads and stalled bodies make room, then idle connections, each time the oldest of the address with the most.
    pub max_connections: Auto<usize>,
    /// From connect to the first byte, and from the first byte to the full head. Reloadable.
    pub header_timeout: Duration,
    /// How long a keep-alive connection may idle; above what common balancers keep. Reloadable.
    pub idle_timeout: Duration,
    /// A handler's budget up to the response head; answers 504. Reloadable.
    pub request_timeout: Duration,
    /// How long an upload may make no progress; answers 408. Reloadable.
    pub body_timeout: Duration,
    /// How long a reader may make no progress, which shows in steps of 64 KiB. Reloadable.
    pub write_timeout: Duration,
    /// Bytes a second below which an upload or a reader counts as stalled, after 5 s of waiting; `0B` turns it off. Reloadable.
    pub min_rate: Size,
    /// Response bytes of all connections that wait for their readers, above the first 64 KiB of each response; beyond it the stalled response that weighs most is reset. `0B` takes an eighth of the memory limit, or 64 MiB where there is none.
    pub max_response_memory: Size,
    /// The same of one HTTP/2 connection; `0B` takes half of what all may hold.
    pub max_response_buffer: Size,
    /// Largest request body; answers 413. Reloadable.
    pub max_body: Size,
    /// Uploads in progress at most: requests whose body has not come whole. One more ends the one with the least progress, which is answered with 408. Reloadable.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_uploads: usize,
    /// Bytes of uploads in progress that may be in memory; above it the one with the least progress, of those that hold more than their share, is answered with 408. Reloadable.
    pub max_upload_bytes: Size,
    /// Largest request head; answers 431.
    pub max_head: Size,
    /// Longest request target; answers 414.
    pub max_uri: Size,
    /// Age at which a connection is asked to close, with a jitter of 10 % each way; `0` turns it off. Reloadable.
    pub max_connection_age: Duration,
    /// Age at which an upgraded connection (a WebSocket) is told to end; `0` turns it off. Reloadable.
    pub max_upgrade_age: Duration,
    /// How long the peer of an upgraded connection (a WebSocket) may send nothing, not even the answer to a ping, before the connection is told to end; `0` turns it off. Reloadable.
    pub upgrade_idle_timeout: Duration,
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
            proxy_protocol: Vec::new(),
            // The owner and its group: a proxy joins by its group.
            unix_mode: "0660".into(),
            unix_owner: None,
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
            // Found from the memory limit.
            max_response_memory: Size::bytes(0),
            max_response_buffer: Size::bytes(0),
            max_body: Size::mib(2),
            // 1,024: half of what may be in flight; each costs a connection or a stream, and its bytes have a bound.
            max_uploads: 1024,
            // 16 MiB: eight of the largest bodies, and a quarter of the smallest container's memory.
            max_upload_bytes: Size::mib(16),
            // 32 KiB: nginx's four buffers of 8 KiB.
            max_head: Size::kib(32),
            max_uri: Size::kib(8),
            max_connection_age: Duration::from_secs(60),
            max_upgrade_age: Duration::from_secs(3600),
            // 60 s: what nginx and ALB give a quiet connection, so that who lives behind them pings as often already.
            upgrade_idle_timeout: Duration::from_secs(60),
            max_requests_per_connection: 0,
            trusted_peers: private_networks(),
        }
    }
}

impl Settings {
    /// Response bytes that may wait for their readers: in all, and of one connection.
    pub(crate) fn response_bytes(&self) -> (usize, usize) {
        let all = match self.max_response_memory.len() {
            0 => runtime::response_memory(),
            set => set,
        };
        let each = match self.max_response_buffer.len() {
            0 => all / 2,
            set => set,
        };
        (all, each)
    }

    /// Each of `urls` has to be one of `listen`, as it is written there, and has to fit.
    pub(crate) fn listed(
        &self,
        urls: &[String],
        key: &str,
        fits: impl Fn(&Listen) -> bool,
        message: &str,
        problems: &mut Problems,
    ) {
        for (index, url) in urls.iter().enumerate() {
            // One that cannot be read is reported where it listens.
            let fits = self.listen.contains(url) && listen::parse(url).as_ref().map_or(true, &fits);
            problems.require(fits, &format!("{key}[{index}]"), message);
        }
    }

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

impl Check for Settings {
    fn check(&self, problems: &mut Problems) {
        listen_urls(&self.listen, problems);
        proxied(self, problems);
        problems.require(is_mode(&self.unix_mode), "unix_mode", "expected three octal digits, such as 0660");
        let owner = self.unix_owner.as_deref().is_none_or(is_owner);
        problems.require(owner, "unix_owner", "expected `user`, `user:group` or `:group`");
        problems.require(self.backlog > 0, "backlog", "expected a number above zero");
        for (key, timeout) in [
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("request_timeout", self.request_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            problems.require(timeout > Duration::default(), key, "expected a duration above zero");
        }
        let most = !matches!(self.max_connections, Auto::Value(connections) if connections > MOST);
        problems.require(most, "max_connections", "expected `auto`, or at most 1000000");
        problems.require(!self.max_body.is_empty(), "max_body", "expected a size above zero");
        problems.require(self.max_uploads > 0, "max_uploads", "expected a number above zero");
        problems.require(!self.max_upload_bytes.is_empty(), "max_upload_bytes", "expected a size above zero");
        problems.require(self.max_head >= Size::kib(1), "max_head", "expected a size of at least 1KiB");
        problems.require(!self.max_uri.is_empty(), "max_uri", "expected a size above zero");
        if self.max_uri > self.max_head {
            let message = "the request target is part of the head: max_uri may not exceed max_head";
            problems.push(Problem::between(["max_uri", "max_head"], message));
        }
    }
}

fn listen_urls(urls: &[String], problems: &mut Problems) {
    let key = "listen";
    problems.require(!urls.is_empty(), key, "expected one URL at least, such as http://[::]:8080");
    let mut before: Vec<Address> = Vec::new();
    for (index, url) in urls.iter().enumerate() {
        let at = format!("{key}[{index}]");
        match listen::parse(url) {
            Ok(listen) => {
                if before.iter().any(|other| listen.address.is_taken_by(other)) {
                    problems.push(Problem::new(at, "is listed twice"));
                }
                before.push(listen.address);
            }
            Err(Refusal::Shape(message)) => problems.push(Problem::new(at, message)),
            Err(Refusal::Features(features)) => {
                problems
                    .push(Problem::new(at, format!("this build has no such door: rebuild with --features {features}")));
            }
        }
    }
}

/// Three octal digits, with a zero before them or not.
fn is_mode(text: &str) -> bool {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    digits.len() == 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

fn is_owner(text: &str) -> bool {
    let name = |name: &str| !name.contains([':', '/', '\0']) && !name.contains(char::is_whitespace);
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    !(user.is_empty() && group.is_empty()) && name(user) && name(group)
}

fn proxied(settings: &Settings, problems: &mut Problems) {
    let key = "proxy_protocol";
    let is_any = |listen: &Listen| matches!(listen.door, Door::Http | Door::Https);
    let expected = "expected URLs of server.listen with the scheme http or https";
    settings.listed(&settings.proxy_protocol, key, is_any, expected, problems);
    if !is_built_in("proxy-protocol") {
        let message = "this build has no such setting: rebuild with --features proxy-protocol";
        problems.require(settings.proxy_protocol.is_empty(), key, message);
    }
}
