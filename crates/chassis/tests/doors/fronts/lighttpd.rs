//! lighttpd, with FastCGI behind it (`mod_fastcgi`).

use std::{fmt::Write as _, net::SocketAddr};

use tokio::process::Command;

use super::Backends;
use crate::{
    door::{Carrier, Door},
    harness::{Scratch, proxy::Proxy, tools},
};

/// lighttpd with `doors` on their ports.
pub(super) async fn start(doors: &[(Door, SocketAddr)], backends: &Backends) -> Proxy {
    let scratch = Scratch::new("lighttpd");
    let directory = scratch.path().display().to_string();
    let first = doors[0].1;
    let mut config = format!(
        "server.modules = (\"mod_fastcgi\")
server.document-root = \"{directory}\"
server.bind = \"{}\"
server.port = {}
server.upload-dirs = (\"{directory}\")
server.stream-request-body = 2
server.stream-response-body = 2
",
        first.ip(),
        first.port()
    );
    for (door, address) in doors {
        let at = backends.of(*door);
        let at = match (door.carrier, at.rsplit_once(':')) {
            (Carrier::Tcp, Some((host, port))) => format!("\"host\" => \"{host}\", \"port\" => {port}"),
            _ => format!("\"socket\" => \"{at}\""),
        };
        let _ = writeln!(
            config,
            "$SERVER[\"socket\"] == \"{address}\" {{
  fastcgi.server = (\"/\" => (({at}, \"check-local\" => \"disable\")))
}}"
        );
    }
    let config = scratch.write("lighttpd.conf", &config);
    let mut command = Command::new(tools::find("lighttpd"));
    command.arg("-D").arg("-f").arg(&config);
    Proxy::start(command, first, config, scratch).await
}
