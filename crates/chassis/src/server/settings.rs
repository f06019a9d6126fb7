//! Settings `server.*`: the accept loop's own, and those for connections and requests.
//!
//! One flat section for users; each part has its checks and defaults beside the code that it limits.
//!
//! Next: [`super::failures`].

use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    balancer::{self, LoadReport},
    connection, middleware,
    values::{
        Auto, Check, Duration, SettingError, SettingErrors, Size, is_built_in,
        listen::{self, Address, Door, Listen, Refusal},
        meant,
    },
};

/// Settings `server.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// URLs to listen on: `http://host:port`, `https://host:port` with the feature `tls`, or `http+unix:///path` for a Unix socket; with the feature `host` also `http+fd://NAME-or-N`, an inherited socket. Where nothing else sets it, the variable `PORT` does, as `http://[::]:PORT`.
    pub listen: Vec<String>,
    /// URLs of `listen`, of the schemes `http` and `https`, on which the PROXY protocol (version 1 or 2) is required from a trusted peer. Needs the cargo feature `proxy-protocol`.
    pub proxy_protocol: Vec<String>,
    /// Permissions of a Unix socket, in octal as for chmod(1).
    pub unix_mode: String,
    /// Owner of a Unix socket: `user`, `user:group` or `:group`, by name or number; by default the process's own.
    pub unix_owner: Option<String>,
    /// Length of the kernel's accept queue; the kernel caps it at `net.core.somaxconn`.
    pub backlog: u32,
    /// Maximum number of open connections. `auto` derives it from the open-file limit and the memory limit, less a reserve, also when the memory limit changes. At the limit, connections with incomplete heads or stalled bodies are closed first, then idle ones; within each group, the oldest connection of the address that has the most.
    pub max_connections: Auto<usize>,
    /// Time limit from connect to the first byte, and again from the first byte to the complete head.
    #[schemars(extend("x-reloadable" = true))]
    pub header_timeout: Duration,
    /// How long a keep-alive connection may be idle; longer than the idle timeout of common balancers.
    #[schemars(extend("x-reloadable" = true))]
    pub idle_timeout: Duration,
    /// Time limit for a handler to return the response head; then 504.
    #[schemars(extend("x-reloadable" = true))]
    pub request_timeout: Duration,
    /// How long an upload may make no progress; then 408.
    #[schemars(extend("x-reloadable" = true))]
    pub body_timeout: Duration,
    /// How long a client may read nothing of a response; progress is measured in steps of 64 KiB.
    #[schemars(extend("x-reloadable" = true))]
    pub write_timeout: Duration,
    /// Bytes per second below which an upload or a download counts as stalled, after 5 s of waiting; `0B` disables the check.
    #[schemars(extend("x-reloadable" = true))]
    pub min_rate: Size,
    /// Limit for response bytes buffered for slow readers on all connections, not counting the first 64 KiB of each response. Above it, the stalled response that holds the most is reset. Responses whose readers have not read on for a second yet, or have taken nothing for 3 s, share at most 4 MiB of it, or four times the largest. `0B` means an eighth of the memory limit, also when that changes, and at most 256 MiB.
    pub max_response_memory: Size,
    /// The same limit for one HTTP/2 connection; `0B` means half of the limit for all.
    pub max_response_buffer: Size,
    /// Largest request body; a larger one gets 413.
    #[schemars(extend("x-reloadable" = true))]
    pub max_body: Size,
    /// Maximum number of uploads in progress (requests whose body is not complete). One more ends the upload with the least progress, with 408.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[schemars(extend("x-reloadable" = true))]
    pub max_uploads: usize,
    /// Limit for bytes of uploads in progress held in memory. Above it, of the uploads that hold more than their share, the one with the least progress ends with 408.
    #[schemars(extend("x-reloadable" = true))]
    pub max_upload_bytes: Size,
    /// Largest request head; a larger one gets 431.
    pub max_head: Size,
    /// Most header fields of a request; more get 431. Above 100 it costs HTTP/1 requests about 5 % more instructions.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_headers: usize,
    /// Longest request target; a longer one gets 414.
    pub max_uri: Size,
    /// Age after which a connection is asked to close, with a jitter of ±10 %; `0` disables it.
    #[schemars(extend("x-reloadable" = true))]
    pub max_connection_age: Duration,
    /// Age after which an upgraded connection (a WebSocket) is closed; `0` disables it.
    #[schemars(extend("x-reloadable" = true))]
    pub max_upgrade_age: Duration,
    /// How long the peer of an upgraded connection (a WebSocket) may send nothing, not even a pong, before the connection is closed; `0` disables it.
    #[schemars(extend("x-reloadable" = true))]
    pub upgrade_idle_timeout: Duration,
    /// Number of requests after which a connection is asked to close; `0` disables it.
    #[schemars(extend("x-reloadable" = true))]
    pub max_requests_per_connection: u64,
    /// The form of the load report that responses to trusted peers carry for balancers that weigh by load (ORCA, as Envoy, Istio and Google's balancers read it): `off`, `json`, `text` or `bin`.
    #[schemars(extend("x-reloadable" = true))]
    pub load_report: LoadReport,
    /// Whether responses to trusted peers carry `x-envoy-immediate-health-check-fail` while draining: Envoy with active health checks then sends no more requests at once, without waiting for the next check.
    #[schemars(extend("x-reloadable" = true))]
    pub immediate_health_check_fail: bool,
    /// Networks whose deadline and forwarding headers are honoured; by default loopback and the private ranges.
    #[schemars(with = "Vec<String>")]
    pub trusted_peers: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        // Theirs, with the reasons beside them.
        let (connection, middleware) = (connection::Settings::default(), middleware::Settings::default());
        let balancer = balancer::Settings::default();
        Self {
            listen: vec!["http://[::]:8080".into()],
            proxy_protocol: Vec::new(),
            // Owner and group: a proxy gets access through the group.
            unix_mode: "0660".into(),
            unix_owner: None,
            // 1,024: a second's worth of new connections at a high rate; the kernel's own cap is 4,096.
            backlog: 1024,
            max_connections: connection.max_connections,
            header_timeout: connection.header_timeout,
            idle_timeout: connection.idle_timeout,
            request_timeout: middleware.request_timeout,
            body_timeout: middleware.body_timeout,
            write_timeout: connection.write_timeout,
            min_rate: connection.min_rate,
            max_response_memory: connection.max_response_memory,
            max_response_buffer: connection.max_response_buffer,
            max_body: middleware.max_body,
            max_uploads: middleware.max_uploads,
            max_upload_bytes: middleware.max_upload_bytes,
            max_head: connection.max_head,
            max_headers: connection.max_headers,
            max_uri: middleware.max_uri,
            max_connection_age: connection.max_connection_age,
            max_upgrade_age: connection.max_upgrade_age,
            upgrade_idle_timeout: connection.upgrade_idle_timeout,
            max_requests_per_connection: connection.max_requests_per_connection,
            load_report: balancer.load_report,
            immediate_health_check_fail: balancer.immediate_health_check_fail,
            trusted_peers: connection.trusted_peers,
        }
    }
}

/// The limits of a running server's parts; a reload swaps it.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) connection: Arc<ArcSwap<connection::Settings>>,
    pub(crate) middleware: Arc<ArcSwap<middleware::Settings>>,
    pub(crate) balancer: Arc<ArcSwap<balancer::Settings>>,
}

impl InForce {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            connection: Arc::new(ArcSwap::from_pointee(settings.connection())),
            middleware: Arc::new(ArcSwap::from_pointee(settings.middleware())),
            balancer: Arc::new(ArcSwap::from_pointee(settings.balancer())),
        }
    }

    pub(crate) fn store(&self, settings: &Settings) {
        self.connection.store(Arc::new(settings.connection()));
        self.middleware.store(Arc::new(settings.middleware()));
        self.balancer.store(Arc::new(settings.balancer()));
    }
}

impl Settings {
    /// The connections' part.
    pub(crate) fn connection(&self) -> connection::Settings {
        connection::Settings {
            max_connections: self.max_connections,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            write_timeout: self.write_timeout,
            min_rate: self.min_rate,
            max_response_memory: self.max_response_memory,
            max_response_buffer: self.max_response_buffer,
            max_head: self.max_head,
            max_headers: self.max_headers,
            max_connection_age: self.max_connection_age,
            max_upgrade_age: self.max_upgrade_age,
            upgrade_idle_timeout: self.upgrade_idle_timeout,
            max_requests_per_connection: self.max_requests_per_connection,
            trusted_peers: self.trusted_peers.clone(),
        }
    }

    /// The requests' part.
    pub(crate) fn middleware(&self) -> middleware::Settings {
        middleware::Settings {
            request_timeout: self.request_timeout,
            body_timeout: self.body_timeout,
            min_rate: self.min_rate,
            max_body: self.max_body,
            max_uploads: self.max_uploads,
            max_upload_bytes: self.max_upload_bytes,
            max_head: self.max_head,
            max_headers: self.max_headers,
            max_uri: self.max_uri,
        }
    }

    /// The part for load balancers.
    fn balancer(&self) -> balancer::Settings {
        balancer::Settings {
            load_report: self.load_report,
            immediate_health_check_fail: self.immediate_health_check_fail,
        }
    }

    /// Each of `urls` must be an entry of `listen`, written identically, and must be valid.
    pub(crate) fn listed(
        &self,
        urls: &[String],
        key: &str,
        fits: impl Fn(&Listen) -> bool,
        message: &str,
        errors: &mut SettingErrors,
    ) {
        for (index, url) in urls.iter().enumerate() {
            // A malformed URL is reported for `server.listen`.
            let fits = self.listen.contains(url) && listen::parse(url).as_ref().map_or(true, &fits);
            errors.require(fits, &format!("{key}[{index}]"), message);
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        listen_urls(&self.listen, errors);
        proxied(self, errors);
        errors.require(is_mode(&self.unix_mode), "unix_mode", "expected three octal digits, such as 0660");
        let owner = self.unix_owner.as_deref().is_none_or(is_owner);
        errors.require(owner, "unix_owner", "expected `user`, `user:group` or `:group`");
        errors.require(self.backlog > 0, "backlog", "expected a number above zero");
        self.connection().check(errors);
        self.middleware().check(errors);
    }
}

fn listen_urls(urls: &[String], errors: &mut SettingErrors) {
    let key = "listen";
    errors.require(!urls.is_empty(), key, "expected at least one URL, such as http://[::]:8080");
    let mut before: Vec<Address> = Vec::new();
    for (index, url) in urls.iter().enumerate() {
        let at = format!("{key}[{index}]");
        match listen::parse(url) {
            Ok(listen) => {
                if before.iter().any(|other| listen.address.is_taken_by(other)) {
                    errors.push(SettingError::new(at, "is listed twice"));
                }
                before.push(listen.address);
            }
            Err(Refusal::Shape(message)) => {
                errors.push(SettingError::new(at, meant::with_guess(message, meant::url(url))));
            }
            Err(Refusal::Features(features)) => {
                errors.push(SettingError::new(
                    at,
                    format!("this build lacks that listener: rebuild with --features {features}"),
                ));
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

fn proxied(settings: &Settings, errors: &mut SettingErrors) {
    let key = "proxy_protocol";
    let is_any = |listen: &Listen| matches!(listen.door, Door::Http | Door::Https);
    let expected = "expected URLs of server.listen with the scheme http or https";
    settings.listed(&settings.proxy_protocol, key, is_any, expected, errors);
    if !is_built_in("proxy-protocol") {
        let message = "this build lacks that setting: rebuild with --features proxy-protocol";
        errors.require(settings.proxy_protocol.is_empty(), key, message);
    }
}
