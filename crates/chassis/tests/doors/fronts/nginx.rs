//! nginx, with HTTP, FastCGI and uwsgi behind it.

use std::{fmt::Write as _, net::SocketAddr};

use tokio::process::Command;

use super::Backends;
use crate::{
    door::{Around, Carrier, Door, Protocol},
    harness::{Scratch, proxy::Proxy, tools},
};

/// nginx with `doors` on their ports.
pub(super) async fn start(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
    let mut servers = String::new();
    for (door, address) in doors {
        let _ = writeln!(servers, "{}", nginx_server(*door, *address, backends));
    }
    start_with(Scratch::new("nginx"), doors[0].1, &servers).await
}

/// nginx with `servers`, one of which listens on `address`.
pub(crate) async fn start_with(scratch: Scratch, address: SocketAddr, servers: &str) -> Proxy {
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
