//! The door https, with clients of rustls, OpenSSL and curl. Certificates are made for each test.
//!
//! Next: `authority`, then `handshakes`.

mod authority;
mod carriers;
mod certificates;
mod drain;
mod handshakes;
mod redirect;
mod tunnel;

use std::{net::SocketAddr, path::Path, time::Duration};

pub(crate) use authority::Authority;

use crate::harness::{Scratch, eventually, server::Server, tools};

/// The app behind https, on its second listener; the first is plain, for a look from outside.
struct Secure {
    server: Server,
    address: SocketAddr,
    authority: Authority,
    scratch: Scratch,
}

impl Secure {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new("tls");
        let authority = Authority::new(&scratch, "ca").await;
        let (certificate, key) = authority.issue("server").await;
        let listen = "http://127.0.0.1:0,https://127.0.0.1:0";
        let mut all = vec![
            ("APP__SERVER__LISTEN", listen),
            ("APP__TLS__CERTIFICATE_FILE", text(&certificate)),
            ("APP__TLS__KEY_FILE", text(&key)),
        ];
        all.extend_from_slice(settings);
        let server = Server::start_example("battery", &all).await;
        let address = at(&server, 1);
        Self { server, address, authority, scratch }
    }

    /// Waits until at least `count` connections have ended for `reason`: some linger for a moment.
    async fn closed(&self, reason: &str, count: f64) {
        let label = format!("reason=\"{reason}\"");
        let closed = async || self.server.series("http_server_connections_closed_total", &label).await;
        let enough = async || (closed().await > count - 0.5).then_some(());
        eventually(&format!("{count} connections ended for {reason}"), Duration::from_secs(10), enough).await;
    }

    /// curl, with the authority known to it; `path` begins with a slash. Its whole output.
    async fn curl(&self, arguments: &[&str], path: &str) -> tools::Output {
        let url = format!("https://localhost:{}{path}", self.address.port());
        let authority = self.authority.certificate();
        let all = ["--silent", "--show-error", "--max-time", "20", "--ipv4", "--cacert", text(&authority)];
        tools::run("curl", &[&all, arguments, &[&url]].concat()).await
    }
}

/// Where the listener `index` of `server.listen` is.
pub(crate) fn at(server: &Server, index: usize) -> SocketAddr {
    server.urls()[index].rsplit('/').next().and_then(|at| at.parse().ok()).expect("an address")
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
