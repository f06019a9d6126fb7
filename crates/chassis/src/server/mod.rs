//! The accept loop: one loop for each listener × a protocol that serves a connection.
//!
//! A new door is a listener or a `Protocol`; this file does not change for it. [`super::transports`] pairs them.
//! `axum::serve` has no cap on connections, sleeps a second when the file limit is reached, and resets what waits in
//! the accept queue when it stops; hence an own loop.
//!
//! Next: [`super::connection`].

mod failures;

pub(crate) use failures::AcceptErrors;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::failures::{Backoff, ErrorKind};
use crate::{
    config::{Auto, Duration, Size},
    connection::{Connections, Entry, Stream},
    listener::Listener,
    runtime,
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

/// Serves one connection, whatever it speaks.
pub(crate) trait Protocol: Clone + Send + Sync + 'static {
    /// Serves `stream` to its end; `entry` holds its place and its state.
    fn serve<S: Stream>(self, stream: S, peer: SocketAddr, entry: Arc<Entry>) -> impl Future<Output = ()> + Send;
}

/// One listener and what serves its connections.
#[derive(Debug)]
pub(crate) struct Server<L, P> {
    pub(crate) listener: L,
    pub(crate) protocol: P,
    pub(crate) connections: Arc<Connections>,
    pub(crate) errors: AcceptErrors,
    /// Whether the loop runs; readiness asks.
    pub(crate) accepting: Arc<AtomicBool>,
}

impl<L: Listener, P: Protocol> Server<L, P> {
    /// Accepts until `stop`, then empties the accept queue and closes the listener.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let _accepting = Accepting::new(&self.accepting);
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    self.admit(stream, peer, &stop).await;
                }
                Err(error) => self.recover(&error, &mut backoff).await,
            }
        }
        self.listener.retire();
        self.empty_queue().await;
    }

    /// One connection above the cap is accepted before another is asked for its place: asked any
    /// earlier, it would be closed for a connection that may never come.
    async fn admit(&self, stream: L::Stream, peer: SocketAddr, stop: &CancellationToken) {
        let mut place = self.connections.try_place();
        if place.is_none() {
            place = tokio::select! {
                biased;
                place = self.connections.place() => Some(place),
                // It is accepted: in a drain it is served above the cap rather than lost.
                () = stop.cancelled() => None,
            };
        }
        let entry = self.connections.enter_from(peer.ip(), place);
        tokio::spawn(self.protocol.clone().serve(stream, peer, entry));
    }

    /// What waits in the queue when the listener closes would be reset. Where there are no files left for it, open
    /// connections are asked to end first; the drain's deadline bounds the wait.
    async fn empty_queue(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.listener.accept_now() {
                Ok(None) => return,
                Ok(Some((stream, peer))) => {
                    let entry = self.connections.enter_from(peer.ip(), self.connections.try_place());
                    tokio::spawn(self.protocol.clone().serve(stream, peer, entry));
                }
                Err(error) => {
                    self.connections.close_all();
                    // One that ends gives its file back: there may be no time for the whole pause.
                    tokio::select! {
                        biased;
                        () = self.recover(&error, &mut backoff) => {}
                        () = self.connections.one_left() => {}
                    }
                }
            }
        }
    }

    async fn recover(&self, error: &io::Error, backoff: &mut Backoff) {
        let kind = ErrorKind::of(error);
        self.errors.count(kind);
        if kind == ErrorKind::Connection {
            // The peer left before it was accepted; the next one may be fine.
            return;
        }
        if backoff.is_to_be_told() {
            tracing::warn!(%error, kind = kind.label(), "cannot accept connections; trying again");
        }
        self.connections.ask_for_a_place();
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Says that a loop runs, for as long as it lives.
struct Accepting(Arc<AtomicBool>);

impl Accepting {
    fn new(flag: &Arc<AtomicBool>) -> Self {
        flag.store(true, Relaxed);
        Self(Arc::clone(flag))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}
