//! The protocols of this build, and an accept loop for each listener × protocol.
//!
//! Plain HTTP is always built. The others are cargo features, off by default, and this file holds their `cfg`s: a
//! clone that needs none of them may delete their folders and the lines that name them here. All of them join the one
//! router at [`super::middleware`]. It does not depend on any wire format.
//!
//! Next: [`super::connection`], whose timers and drain every protocol shares.

// Each of the two protocols uses a part of the shared code.
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
#[cfg_attr(not(all(feature = "fastcgi", feature = "uwsgi")), allow(dead_code))]
mod body;
#[cfg(any(feature = "fastcgi", feature = "uwsgi", feature = "guest"))]
#[cfg_attr(not(all(feature = "fastcgi", feature = "uwsgi", feature = "guest")), allow(dead_code))]
pub(super) mod cgi;
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
#[cfg_attr(not(all(feature = "fastcgi", feature = "uwsgi")), allow(dead_code))]
mod exchange;
#[cfg(feature = "fastcgi")]
mod fastcgi;
#[cfg(feature = "tls")]
mod https;
#[cfg(any(feature = "fastcgi", feature = "uwsgi"))]
mod out;
#[cfg(feature = "proxy-protocol")]
mod proxy;
#[cfg(any(feature = "fastcgi", feature = "uwsgi", feature = "guest"))]
mod refusal;
pub(crate) mod settings;
#[cfg(any(feature = "fastcgi", feature = "uwsgi", feature = "guest"))]
#[cfg_attr(not(feature = "fastcgi"), allow(dead_code))]
mod software;
#[cfg(feature = "uwsgi")]
mod uwsgi;
#[cfg(not(feature = "tls"))]
mod without_tls;

#[cfg(feature = "tls")]
pub(crate) use https::Certificates;
#[cfg(not(feature = "tls"))]
pub(crate) use without_tls::Certificates;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use self::settings::Settings;
use crate::{
    connection::{Connections, Http, Limits, Protocol},
    listener::Bound,
    middleware::{Stack, routes::Routes},
    router::Router,
    server::{AcceptErrors, Server},
    values::listen::Door,
};

#[cfg(all(test, feature = "fastcgi", feature = "uwsgi"))]
mod tests;

/// The purpose of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub(crate) door: Door,
    /// A balancer sends a PROXY protocol header first (`server.proxy_protocol`).
    pub(crate) proxied: bool,
    /// It only redirects to https (`tls.redirect`).
    pub(crate) redirects: bool,
}

/// A file of `tls.*` that cannot be used.
#[derive(Debug)]
pub(crate) struct BadFile {
    /// The key that names it.
    pub(crate) key: &'static str,
    message: String,
}

impl BadFile {
    #[cfg(feature = "tls")]
    fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into() }
    }
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Every protocol of this build, over one router.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    http: Http<Routes>,
    #[cfg(feature = "tls")]
    https: Option<https::Https>,
    #[cfg(feature = "tls")]
    redirect: Http<Routes>,
    #[cfg(feature = "fastcgi")]
    fastcgi: fastcgi::Fastcgi,
    #[cfg(feature = "proxy-protocol")]
    limits: Arc<Limits>,
    #[cfg(feature = "uwsgi")]
    uwsgi: uwsgi::Uwsgi,
}

/// The shared routes and limits.
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(crate) struct Parts<'a> {
    /// The app's routes.
    pub(crate) routes: Router,
    /// The routes of every listener.
    pub(crate) healthz: Router,
    pub(crate) stack: Arc<Stack>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) settings: &'a Settings,
    pub(crate) certificates: Certificates,
    pub(crate) registry: &'a Registry,
}

impl Doors {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let Parts { routes, healthz, stack, limits, .. } = parts;
        let routes = routes.merge(healthz.clone()).build(&stack);
        Self {
            #[cfg(feature = "fastcgi")]
            fastcgi: fastcgi::Fastcgi::new(routes.clone(), Arc::clone(&limits)),
            #[cfg(feature = "tls")]
            https: https::Https::new(&routes, &limits, parts.settings, parts.certificates, parts.registry),
            #[cfg(feature = "tls")]
            redirect: {
                let elsewhere = https::redirect::router(parts.settings).merge(healthz);
                Http::new(elsewhere.build(&stack), Arc::clone(&limits))
            },
            #[cfg(feature = "uwsgi")]
            uwsgi: uwsgi::Uwsgi::new(routes.clone(), Arc::clone(&limits)),
            #[cfg(feature = "proxy-protocol")]
            limits: Arc::clone(&limits),
            http: Http::new(routes, limits),
        }
    }

    /// Accepts on `listener` until `stop`.
    pub(crate) async fn accept(self, listener: Bound, purpose: Purpose, shared: Shared, stop: CancellationToken) {
        // The settings were validated: a protocol that this build lacks was refused.
        match purpose.door {
            #[cfg(feature = "tls")]
            Door::Http if purpose.redirects => self.front(listener, self.redirect.clone(), purpose, shared, stop).await,
            Door::Http => self.front(listener, self.http.clone(), purpose, shared, stop).await,
            #[cfg(feature = "tls")]
            Door::Https => {
                let https = self.https.clone().expect("certificates are there where a listener speaks https");
                self.front(listener, https, purpose, shared, stop).await;
            }
            #[cfg(feature = "fastcgi")]
            Door::Fastcgi => accept(listener, self.fastcgi, shared, stop).await,
            #[cfg(feature = "uwsgi")]
            Door::Uwsgi => accept(listener, self.uwsgi, shared, stop).await,
            #[allow(unreachable_patterns, reason = "a build with all of them")]
            Door::Https | Door::Fastcgi | Door::Uwsgi => {}
        }
    }

    /// Accepts for `protocol`, behind the PROXY protocol where the listener is for that.
    async fn front<P: Protocol>(
        &self,
        listener: Bound,
        protocol: P,
        purpose: Purpose,
        shared: Shared,
        stop: CancellationToken,
    ) {
        #[cfg(feature = "proxy-protocol")]
        if purpose.proxied {
            let proxied = proxy::Proxied::new(protocol, Arc::clone(&self.limits));
            return accept(listener, proxied, shared, stop).await;
        }
        let _ = purpose;
        accept(listener, protocol, shared, stop).await;
    }
}

/// What all listeners share, and the flag of this one.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) connections: Arc<Connections>,
    pub(crate) errors: AcceptErrors,
    /// Whether the loop runs; checked by readiness.
    pub(crate) accepting: Arc<AtomicBool>,
}

async fn accept<P: Protocol>(listener: Bound, protocol: P, shared: Shared, stop: CancellationToken) {
    let Shared { connections, errors, accepting } = shared;
    match listener {
        Bound::Tcp(listener) => Server { listener, protocol, connections, errors, accepting }.run(stop).await,
        Bound::Unix(listener) => Server { listener, protocol, connections, errors, accepting }.run(stop).await,
    }
}
