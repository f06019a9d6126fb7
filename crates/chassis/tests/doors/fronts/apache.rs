//! Apache, with FastCGI and uwsgi behind it.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use tokio::process::Command;

use super::Backends;
use crate::{
    door::{Carrier, Door, Protocol},
    harness::{Scratch, proxy::Proxy, tools},
};

/// Apache with `doors` on their ports.
pub(super) async fn start(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
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
