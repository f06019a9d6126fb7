//! One app behind every front that can reach it, each on a port of its own. The configurations are those of
//! docs/transports.md.

use std::{fmt::Write as _, net::SocketAddr, path::Path, process::Stdio};

use tokio::process::Command;

use crate::{
    harness::{Scratch, free_port, local, proxy::Proxy, server::Server, tools},
    tls::{Authority, text},
};

/// A way from a client to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) name: &'static str,
    pub(crate) front: Front,
    pub(crate) protocol: Protocol,
    pub(crate) carrier: Carrier,
    /// The front keeps its connections to the app.
    pub(crate) keep: bool,
    /// What is around the protocol.
    around: Around,
}

/// What a front puts around a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    Nothing,
    Tls,
    /// The PROXY protocol, version 1.
    Line,
    /// Version 2, and TLS behind it.
    BinaryTls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Nothing: the client speaks to the app.
    None,
    Nginx,
    Apache,
    Haproxy,
    Uwsgi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Fastcgi,
    Uwsgi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Tcp,
    Unix,
}

const fn door(name: &'static str, front: Front, protocol: Protocol, carrier: Carrier, keep: bool) -> Door {
    Door { name, front, protocol, carrier, keep, around: Around::Nothing }
}

const fn around(name: &'static str, front: Front, around: Around) -> Door {
    Door { name, front, protocol: Protocol::Http, carrier: Carrier::Tcp, keep: true, around }
}

/// All of them.
pub(crate) const DOORS: [Door; 18] = [
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
    fn of(&self, door: Door) -> String {
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
            nginx(&of(Front::Nginx), &backends).await,
            apache(&of(Front::Apache), &backends).await,
            haproxy(&of(Front::Haproxy), &backends).await,
            uwsgi(of(Front::Uwsgi)[0].1, &backends).await,
        ];
        Self { server, addresses, _proxies: proxies, _scratch: scratch }
    }

    /// Every door and where clients go.
    pub(crate) fn doors(&self) -> impl Iterator<Item = (Door, SocketAddr)> {
        self.addresses.iter().copied()
    }
}

/// nginx with `doors` on their ports.
pub(crate) async fn nginx(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
    let mut servers = String::new();
    for (door, address) in doors {
        let _ = writeln!(servers, "{}", nginx_server(*door, *address, backends));
    }
    start_nginx(Scratch::new("nginx"), doors[0].1, &servers).await
}

/// nginx with `servers`, one of which listens on `address`.
pub(crate) async fn start_nginx(scratch: Scratch, address: SocketAddr, servers: &str) -> Proxy {
    let directory = scratch.path().display().to_string();
    // As root, workers would change to a user that may not connect to the sockets.
    let user = if tools::is_root() { "user root;" } else { "" };
    let config = format!(
        "{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 128m;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
{servers}}}
"
    );
    let config = scratch.write("nginx.conf", &config);
    let mut command = Command::new(tools::find("nginx"));
    command.arg("-e").arg(scratch.path().join("error.log")).arg("-p").arg(scratch.path()).arg("-c").arg(&config);
    Proxy::start(command, address, config, scratch).await
}

fn nginx_server(door: Door, address: SocketAddr, backends: &Backends) -> String {
    let name = door.name.replace('-', "_");
    let at = backends.of(door);
    let at = if door.carrier == Carrier::Unix { format!("unix:{at}") } else { at };
    let keep = if door.keep { "    keepalive 16;\n" } else { "" };
    let pass = match (door.protocol, door.keep) {
        (Protocol::Http, _) => format!(
            "      proxy_pass {}://{name};
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_next_upstream off;
      proxy_buffering off;
",
            if door.around == Around::Tls { "https" } else { "http" }
        ),
        (Protocol::Fastcgi, keep) => format!(
            "      fastcgi_pass {name};
      fastcgi_keep_conn {};
      fastcgi_next_upstream off;
      fastcgi_buffering off;
{}",
            if keep { "on" } else { "off" },
            params("fastcgi_param")
        ),
        (Protocol::Uwsgi, _) => format!(
            "      uwsgi_pass {name};
      uwsgi_next_upstream off;
      uwsgi_buffering off;
{}",
            params("uwsgi_param")
        ),
    };
    format!(
        "  upstream {name} {{
    server {at} max_fails=0;
{keep}  }}
  server {{
    listen {address} backlog=1024;
    location / {{
{pass}    }}
  }}"
    )
}

/// What Debian's `fastcgi_params` and `uwsgi_params` hold, less what is not read.
pub(crate) fn params(directive: &str) -> String {
    [
        ("QUERY_STRING", "$query_string"),
        ("REQUEST_METHOD", "$request_method"),
        ("CONTENT_TYPE", "$content_type"),
        ("CONTENT_LENGTH", "$content_length"),
        ("REQUEST_URI", "$request_uri"),
        ("SERVER_PROTOCOL", "$server_protocol"),
        ("REQUEST_SCHEME", "$scheme"),
        ("HTTPS", "$https if_not_empty"),
        ("SERVER_SOFTWARE", "nginx/$nginx_version"),
        ("REMOTE_ADDR", "$remote_addr"),
        ("REMOTE_PORT", "$remote_port"),
    ]
    .map(|(name, value)| format!("      {directive} {name} {value};\n"))
    .concat()
}

/// `HAProxy` with `doors` on their ports, forwarding bytes: clients speak HTTP with the app.
async fn haproxy(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
    let mut config = String::from(
        "global
  maxconn 2048
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
",
    );
    for (door, address) in doors {
        let say = match door.around {
            Around::Line => "send-proxy",
            _ => "send-proxy-v2 ssl verify none",
        };
        let (name, at) = (door.name, backends.of(*door));
        let _ = writeln!(config, "listen {name}\n  bind {address}\n  server app {at} {say}");
    }
    let scratch = Scratch::new("haproxy");
    let config = scratch.write("haproxy.cfg", &config);
    let mut command = Command::new(tools::find("haproxy"));
    command.arg("-db").arg("-f").arg(&config);
    Proxy::start(command, doors[0].1, config, scratch).await
}

/// Apache with `doors` on their ports.
pub(crate) async fn apache(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
    let scratch = Scratch::new("apache");
    let directory = scratch.path().display().to_string();
    let modules = ["mpm_event", "authz_core", "proxy", "proxy_fcgi", "proxy_uwsgi"];
    let modules: String = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).concat();
    let mut hosts = String::new();
    for (door, address) in doors {
        let _ = writeln!(hosts, "{}", apache_host(*door, *address, backends));
    }
    // Apache refuses to serve as root.
    let user = if tools::is_root() { "User www-data\nGroup www-data\n" } else { "" };
    let config = format!(
        "{modules}{user}ServerRoot {directory}
ServerName test
PidFile {directory}/apache.pid
ErrorLog {directory}/error.log
LogLevel warn
DefaultRuntimeDir {directory}
ProxyTimeout 10
{hosts}"
    );
    let config = scratch.write("apache.conf", &config);
    assert!(Path::new(MODULES).is_dir(), "{MODULES} not found: run `make tools`");
    let mut command = Command::new(tools::find("apache2"));
    command.arg("-DFOREGROUND").arg("-f").arg(&config);
    Proxy::start(command, doors[0].1, config, scratch).await
}

/// Where Debian keeps Apache's modules.
const MODULES: &str = "/usr/lib/apache2/modules";

fn apache_host(door: Door, address: SocketAddr, backends: &Backends) -> String {
    let at = backends.of(door);
    let scheme = if door.protocol == Protocol::Fastcgi { "fcgi" } else { "uwsgi" };
    // The name behind a Unix socket only tells pools apart.
    let url = match door.carrier {
        Carrier::Tcp => format!("{scheme}://{at}"),
        Carrier::Unix => format!("unix:{at}|{scheme}://{}", door.name),
    };
    let reuse = if door.keep { "enablereuse=on max=16" } else { "disablereuse=on" };
    format!(
        "Listen {address}
<VirtualHost {address}>
  AllowEncodedSlashes NoDecode
  ProxyPass \"/\" \"{url}/\" {reuse} flushpackets=on
</VirtualHost>"
    )
}

/// uWSGI's HTTP router in front of the app.
async fn uwsgi(address: SocketAddr, backends: &Backends) -> Proxy {
    let scratch = Scratch::new("uwsgi");
    let mut command = Command::new(tools::find("uwsgi-core"));
    command.args(["--plugin", "http", "--http", &address.to_string(), "--http-to", &backends.uwsgi]);
    command.args(["--http-timeout", "10", "--master", "--die-on-term", "--disable-logging"]);
    command.stdin(Stdio::null()).current_dir(scratch.path());
    let config = scratch.write("none", "");
    Proxy::start(command, address, config, scratch).await
}
