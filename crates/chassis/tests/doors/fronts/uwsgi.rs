//! uWSGI's own HTTP router, which speaks uwsgi to what is behind it.

use std::{net::SocketAddr, process::Stdio};

use tokio::process::Command;

use super::Backends;
use crate::harness::{Scratch, proxy::Proxy, tools};

/// uWSGI's HTTP router in front of the app.
pub(super) async fn start(address: SocketAddr, backends: &Backends) -> Proxy {
    let scratch = Scratch::new("uwsgi");
    let mut command = Command::new(tools::find("uwsgi-core"));
    command.args(["--plugin", "http", "--http", &address.to_string(), "--http-to", &backends.uwsgi]);
    command.args(["--http-timeout", "10", "--master", "--die-on-term", "--disable-logging"]);
    command.stdin(Stdio::null()).current_dir(scratch.path());
    let config = scratch.write("none", "");
    Proxy::start(command, address, config, scratch).await
}
