//! One app behind every front that can reach it, each on a port of its own. The configurations are those of
//! docs/transports.md.

mod apache;
mod haproxy;
mod lighttpd;
pub(crate) mod nginx;
mod uwsgi;

use std::net::SocketAddr;

use crate::{
    door::{Around, Carrier, Door, Front, Protocol},
    harness::{Scratch, free_port, local, proxy::Proxy, server::Server},
    tls::{Authority, text},
};

const fn door(name: &'static str, front: Front, protocol: Protocol, carrier: Carrier, keep: bool) -> Door {
    Door { name, front, protocol, carrier, keep, around: Around::Nothing }
}

const fn around(name: &'static str, front: Front, around: Around) -> Door {
    Door { name, front, protocol: Protocol::Http, carrier: Carrier::Tcp, keep: true, around }
}

/// All of them.
pub(crate) const DOORS: [Door; 22] = [
    door("http", Front::None, Protocol::Http, Carrier::Tcp, true),
    door("nginx-http-tcp", Front::Nginx, Protocol::Http, Carrier::Tcp, true),
    door("nginx-http-unix", Front::Nginx, Protocol::Http, Carrier::Unix, true),
    around("nginx-https", Front::Nginx, Around::Tls),
    around("haproxy-proxy1-http", Front::Haproxy, Around::Line),
    around("haproxy-proxy2-https", Front::Haproxy, Around::BinaryTls),
    door("nginx-fastcgi-tcp", Front::Nginx, Protocol::Fastcgi, Carrier::Tcp, false),
    door("nginx-fastcgi-tcp-keep", Front::Nginx, Protocol::Fastcgi, Carrier::Tcp, true),
    door("nginx-fastcgi-unix", Front::Nginx, Protocol::Fastcgi, Carrier::Unix, false),
    door("nginx-fastcgi-unix-keep", Front::Nginx, Protocol::Fastcgi, Carrier::Unix, true),
    door("nginx-uwsgi-tcp", Front::Nginx, Protocol::Uwsgi, Carrier::Tcp, false),
    door("nginx-uwsgi-unix", Front::Nginx, Protocol::Uwsgi, Carrier::Unix, false),
    door("apache-fastcgi-tcp", Front::Apache, Protocol::Fastcgi, Carrier::Tcp, false),
    door("apache-fastcgi-tcp-reuse", Front::Apache, Protocol::Fastcgi, Carrier::Tcp, true),
    door("apache-fastcgi-unix", Front::Apache, Protocol::Fastcgi, Carrier::Unix, false),
    door("apache-fastcgi-unix-reuse", Front::Apache, Protocol::Fastcgi, Carrier::Unix, true),
    door("apache-uwsgi-tcp", Front::Apache, Protocol::Uwsgi, Carrier::Tcp, false),
    door("haproxy-fastcgi-tcp", Front::Haproxy, Protocol::Fastcgi, Carrier::Tcp, false),
    door("haproxy-fastcgi-unix-keep", Front::Haproxy, Protocol::Fastcgi, Carrier::Unix, true),
    door("lighttpd-fastcgi-tcp", Front::Lighttpd, Protocol::Fastcgi, Carrier::Tcp, false),
    door("lighttpd-fastcgi-unix", Front::Lighttpd, Protocol::Fastcgi, Carrier::Unix, false),
    door("uwsgi-http-to", Front::Uwsgi, Protocol::Uwsgi, Carrier::Tcp, false),
];

/// Where the app's listeners are.
pub(crate) struct Backends {
    http: SocketAddr,
    https: String,
    proxied: String,
    proxied_https: String,
    fastcgi: String,
    uwsgi: String,
    folder: String,
}

impl Backends {
    /// As the front's configuration names it.
    pub(crate) fn of(&self, door: Door) -> String {
        match (door.protocol, door.carrier) {
            (Protocol::Http, _) if door.around == Around::Tls => self.https.clone(),
            (Protocol::Http, _) if door.around == Around::Line => self.proxied.clone(),
            (Protocol::Http, _) if door.around == Around::BinaryTls => self.proxied_https.clone(),
            (Protocol::Http, Carrier::Tcp) => self.http.to_string(),
            (Protocol::Fastcgi, Carrier::Tcp) => self.fastcgi.clone(),
            (Protocol::Uwsgi, Carrier::Tcp) => self.uwsgi.clone(),
            (protocol, Carrier::Unix) => format!("{}/{}.sock", self.folder, scheme(protocol)),
        }
    }
}

pub(crate) const fn scheme(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Fastcgi => "fastcgi",
        Protocol::Uwsgi => "uwsgi",
    }
}

/// The battery app with all its listeners, and where they are.
pub(crate) async fn app(scratch: &Scratch, settings: &[(&str, &str)]) -> (Server, Backends) {
    let folder = scratch.path().to_str().expect("a path in UTF-8").to_owned();
    let listen = format!(
        "http://127.0.0.1:0,http+unix://{folder}/http.sock,fastcgi://127.0.0.1:0,fastcgi+unix://{folder}/fastcgi.sock,\
         uwsgi://127.0.0.1:0,uwsgi+unix://{folder}/uwsgi.sock,https://127.0.0.1:0,http://[::1]:0,https://[::1]:0"
    );
    let (certificate, key) = Authority::new(scratch, "ca").await.issue("server").await;
    let mut all = vec![
        ("APP__SERVER__PROXY_PROTOCOL", "http://[::1]:0,https://[::1]:0"),
        ("APP__TLS__CERTIFICATE_FILE", text(&certificate)),
        ("APP__TLS__KEY_FILE", text(&key)),
        ("APP__SERVER__LISTEN", &*listen),
        ("APP__SERVER__UNIX_MODE", "0666"),
        ("APP__SERVER__MAX_BODY", "128MiB"),
    ];
    all.extend_from_slice(settings);
    let server = Server::start_example("battery", &all).await;
    let urls = server.urls();
    let at = |index: usize| urls[index].split_once("://").expect("a URL").1.to_owned();
    let backends = Backends {
        http: server.app,
        fastcgi: at(2),
        uwsgi: at(4),
        https: at(6),
        proxied: at(7),
        proxied_https: at(8),
        folder,
    };
    (server, backends)
}

/// The app behind all fronts.
pub(crate) struct Fronts {
    pub(crate) server: Server,
    addresses: Vec<(Door, SocketAddr)>,
    _proxies: Vec<Proxy>,
    _scratch: Scratch,
}

impl Fronts {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new("doors");
        let (server, backends) = app(&scratch, settings).await;
        let addresses: Vec<(Door, SocketAddr)> = DOORS
            .into_iter()
            .map(|door| (door, if door.front == Front::None { server.app } else { local(free_port()) }))
            .collect();
        let of = |front| addresses.iter().copied().filter(|(door, _)| door.front == front).collect::<Vec<_>>();
        let proxies = vec![
            nginx::start(&of(Front::Nginx), &backends).await,
            apache::start(&of(Front::Apache), &backends).await,
            haproxy::start(&of(Front::Haproxy), &backends).await,
            lighttpd::start(&of(Front::Lighttpd), &backends).await,
            uwsgi::start(of(Front::Uwsgi)[0].1, &backends).await,
        ];
        Self { server, addresses, _proxies: proxies, _scratch: scratch }
    }

    /// Every door and where clients go.
    pub(crate) fn doors(&self) -> impl Iterator<Item = (Door, SocketAddr)> {
        self.addresses.iter().copied()
    }
}
