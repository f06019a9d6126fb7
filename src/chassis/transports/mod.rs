//! The doors: which protocols this build speaks, and an accept loop for each listener × protocol.
//!
//! Plain HTTP is always there. The others are cargo features, off by default, and this file holds their `cfg`s: a
//! clone that needs none of them may delete their folders and the lines that name them here. All of them join the one
//! router at [`super::middleware`]. It refuses to know what a protocol looks like on the wire.
//!
//! Next: [`super::connection`], whose timers and drain every door shares.

// Each of the two doors uses its part of what they share.
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
#[cfg_attr(not(all(feature = "fastcgi", feature = "uwsgi")), allow(dead_code))]
mod body;
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
#[cfg_attr(not(all(feature = "fastcgi", feature = "uwsgi")), allow(dead_code))]
mod cgi;
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
#[cfg_attr(not(all(feature = "fastcgi", feature = "uwsgi")), allow(dead_code))]
mod exchange;
#[cfg(feature = "fastcgi")]
mod fastcgi;
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
mod out;
#[cfg(feature = "uwsgi")]
mod uwsgi;

use std::sync::{Arc, atomic::AtomicBool};

use tokio_util::sync::CancellationToken;

use crate::chassis::{
    connection::{Connections, Http, Limits},
    listener::Bound,
    server::{AcceptErrors, Protocol, Server},
};

#[cfg(all(test, feature = "fastcgi", feature = "uwsgi"))]
mod tests;

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Http,
    Fastcgi,
    Uwsgi,
}

impl Door {
    /// The scheme of its listen URLs.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Fastcgi => "fastcgi",
            Self::Uwsgi => "uwsgi",
        }
    }
}

/// Whether this build has the cargo feature `name`.
pub(crate) fn is_built_in(name: &str) -> bool {
    [("fastcgi", cfg!(feature = "fastcgi")), ("uwsgi", cfg!(feature = "uwsgi"))].contains(&(name, true))
}

/// Every protocol of this build, over one router.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    http: Http,
    #[cfg(feature = "fastcgi")]
    fastcgi: fastcgi::Fastcgi,
    #[cfg(feature = "uwsgi")]
    uwsgi: uwsgi::Uwsgi,
}

impl Doors {
    pub(crate) fn new(router: axum::Router, limits: Arc<Limits>) -> Self {
        Self {
            #[cfg(feature = "fastcgi")]
            fastcgi: fastcgi::Fastcgi::new(router.clone(), Arc::clone(&limits)),
            #[cfg(feature = "uwsgi")]
            uwsgi: uwsgi::Uwsgi::new(router.clone(), Arc::clone(&limits)),
            http: Http::new(router, limits),
        }
    }

    /// Accepts on `listener` until `stop`.
    pub(crate) async fn accept(self, listener: Bound, door: Door, shared: Shared, stop: CancellationToken) {
        match door {
            Door::Http => accept(listener, self.http, shared, stop).await,
            #[cfg(feature = "fastcgi")]
            Door::Fastcgi => accept(listener, self.fastcgi, shared, stop).await,
            #[cfg(feature = "uwsgi")]
            Door::Uwsgi => accept(listener, self.uwsgi, shared, stop).await,
            // The settings were refused: this build has no such door.
            #[allow(unreachable_patterns, reason = "a build with all of them")]
            Door::Fastcgi | Door::Uwsgi => {}
        }
    }
}

/// What all listeners share, and the flag of this one.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) connections: Arc<Connections>,
    pub(crate) errors: AcceptErrors,
    /// Whether the loop runs; readiness asks.
    pub(crate) accepting: Arc<AtomicBool>,
}

async fn accept<P: Protocol>(listener: Bound, protocol: P, shared: Shared, stop: CancellationToken) {
    let Shared { connections, errors, accepting } = shared;
    match listener {
        Bound::Tcp(listener) => Server { listener, protocol, connections, errors, accepting }.run(stop).await,
        Bound::Unix(listener) => Server { listener, protocol, connections, errors, accepting }.run(stop).await,
    }
}
