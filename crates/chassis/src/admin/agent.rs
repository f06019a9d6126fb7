//! The agent check of HAProxy: a listener that says in one line how much this replica should get, and closes.
//!
//! ```text
//! ready up 62%   serving, with that share of its weight
//! drain          no new requests: it is about to go
//! down           not ready
//! ```
//!
//! Each line is the whole state: `up` alone does not end a drain there, nor `ready` a down.
//!
//! Next: [`super::probes`].

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{everyone, probes::Probes};
use crate::{
    balancer::Balancer,
    connection::{self, Connections, Entry, Protocol, Rules, Stream, linger},
    listener::Tcp,
    server::{AcceptErrors, Server},
    values::{Check, SettingErrors, meant},
};

/// Settings `agent.*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port for HAProxy's agent check, which weighs this replica by its load; none by default. It tells every peer how full the replica is: never expose it beyond the cluster. Inside another server (uWSGI) it has no effect.
    pub listen: Option<String>,
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        let Some(listen) = &self.listen else { return };
        let message = "expected an IP address and a port, such as [::]:8082 or 0.0.0.0:8082";
        let message = meant::with_guess(message, meant::address(listen));
        errors.require(listen.parse::<SocketAddr>().is_ok(), "listen", &message);
    }
}

/// The agent's address among the listen URLs.
pub(crate) fn url(listen: &str) -> String {
    format!("agent://{listen}")
}

/// Each balancer has one at a time, for a moment. At the limit the oldest makes room.
const MAX_CONNECTIONS: usize = 64;

/// 10: a full replica still gets what shows that it has recovered.
const LEAST_PERCENT: f64 = 10.0;

/// What the line says; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    probes: Probes,
    balancer: Balancer,
}

impl Agent {
    pub(crate) fn new(probes: Probes, balancer: Balancer) -> Self {
        Self { probes, balancer }
    }

    /// Accepts on `listener` until `stop`, on the present runtime.
    pub(crate) fn accept(self, listener: Tcp, stop: CancellationToken) {
        let rules = Rules { shared: everyone(), eager: true, heads: 0 };
        let server = Server {
            listener,
            protocol: self,
            connections: Connections::new(MAX_CONNECTIONS, rules, connection::Metrics::new(None)),
            errors: AcceptErrors::new(None),
            accepting: Arc::new(AtomicBool::new(false)),
        };
        tokio::spawn(server.run(stop));
    }

    fn line(&self) -> String {
        if self.probes.is_draining() {
            return "drain\n".into();
        }
        if self.probes.is_ready() { serving(self.balancer.utilization()) } else { "down\n".into() }
    }
}

fn serving(utilization: f64) -> String {
    format!("ready up {:.0}%\n", room(utilization))
}

/// The room that is left, as percents of the weight.
pub(crate) fn room(utilization: f64) -> f64 {
    (100.0 * (1.0 - utilization)).max(LEAST_PERCENT)
}

impl Protocol for Agent {
    async fn serve<S: Stream>(self, stream: S, _: SocketAddr, entry: Arc<Entry>) {
        // HAProxy may send a text of its own first: it is read and not looked at.
        linger::answer(stream, &entry.state, self.line().as_bytes()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_that_is_left_is_the_weight() {
        assert_eq!(serving(0.0), "ready up 100%\n");
        assert_eq!(serving(0.384), "ready up 62%\n");
        assert_eq!(serving(1.0), "ready up 10%\n", "so that it is seen to recover");
    }
}
