//! `HAProxy`, with FastCGI behind it (`fcgi-app`), or forwarding bytes with the PROXY protocol before them.

use std::{fmt::Write as _, net::SocketAddr};

use tokio::process::Command;

use super::Backends;
use crate::{
    door::{Around, Carrier, Door},
    harness::{Scratch, proxy::Proxy, tools},
};

/// `HAProxy` with `doors` on their ports.
pub(super) async fn start(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
    let scratch = Scratch::new("haproxy");
    let mut config = "global
  maxconn 2048
defaults
  mode http
  retries 0
  option http-no-delay
  timeout connect 5s
  timeout client 60s
  timeout server 60s
"
    .to_owned();
    for (door, address) in doors {
        let part = match door.around {
            Around::Nothing => fastcgi(*door, *address, backends),
            around => forwarding(around, *door, *address, backends),
        };
        let _ = writeln!(config, "{part}");
    }
    let config = scratch.write("haproxy.cfg", &config);
    let mut command = Command::new(tools::find("haproxy"));
    command.arg("-db").arg("-f").arg(&config);
    Proxy::start(command, doors[0].1, config, scratch).await
}

fn fastcgi(door: Door, address: SocketAddr, backends: &Backends) -> String {
    let (name, at) = (door.name, backends.of(door));
    let at = if door.carrier == Carrier::Unix { format!("unix@{at}") } else { at };
    let keep = if door.keep { "option keep-conn" } else { "no option keep-conn" };
    // With kept connections it holds back answers that come before the request's body is read (seen with 2.6).
    let abort = if door.keep { "no option abortonclose" } else { "option abortonclose" };
    format!(
        "fcgi-app app-{name}
  docroot /
  {keep}
listen {name}
  bind {address}
  http-reuse always
  {abort}
  use-fcgi-app app-{name}
  server app {at} proto fcgi"
    )
}

/// Clients speak HTTP with the app.
fn forwarding(around: Around, door: Door, address: SocketAddr, backends: &Backends) -> String {
    let say = if around == Around::Line { "send-proxy" } else { "send-proxy-v2 ssl verify none" };
    let (name, at) = (door.name, backends.of(door));
    format!("listen {name}\n  mode tcp\n  bind {address}\n  server app {at} {say}")
}
