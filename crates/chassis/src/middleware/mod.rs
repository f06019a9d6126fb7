//! The middleware of every request, for every protocol: one fused layer around each route.
//!
//! ```text
//! cors                           on routes that have it: around everything, so that a browser can read a refusal
//! observe                        outermost, so that refused requests are counted too
//!   request id                   first: every log line and every problem contains it
//!   trace context, sampling      before a span is built: an unsampled request builds none
//!   in flight, duration, access line
//!   server span                  around the handler's polls
//!   panic catcher                innermost of observe: a panic is a response like any other
//! protect
//!   head         400 501         its host, its target, the codings of its body
//!   head limits  414 431         below the parser's, so that the response is a problem
//!   body limit   413             by Content-Length, before anything is read
//!   deadline     504             already passed: no work
//!   admission    503             before the body is read, held until the work ends, lent while waiting for the client
//!   faults                       inside admission: a slow fault occupies a place like a slow handler
//!   head                         cookies in one line, and a refused coding, as the app has to see them
//!   timeout      504             up to the response head; its timer starts when the handler first waits
//!   body pace    408 413         on requests that have a body
//!   uploads      408             uploads in progress, and which of them ends at a limit
//! handler                        on the I/O runtime, or the work runtime
//! response                       outermost on the way back: problems of bare errors, headers of every response, HEAD
//! ```
//!
//! One future does it all: seven boxed layers cost several times as much on every request. It does not
//! depend on what a route does.
//!
//! Next: `routes`, where a request enters.

mod body;
mod coding;
mod cors;
mod deadline;
pub(crate) mod decompression;
pub(crate) mod dispatch;
mod request_future;
mod head;
mod host;
mod id;
mod protect;
mod observation;
mod refused;
mod rejection;
mod response;
pub(crate) mod route;
pub(crate) mod routes;
mod settings;
mod transfer_codings;
mod uploads;
mod watched;

pub(crate) use settings::Settings;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use arc_swap::ArcSwap;
use prometheus::Registry;

use self::{
    dispatch::Dispatch,
    route::{Kind, Marks, Route, RouteMetrics},
    uploads::Uploads,
};
use crate::{
    balancer::{Balancer, Counts},
    faults::Faults,
    overload::Overload,
    runtime::WorkRuntime,
    telemetry::{AccessLog, Tracing},
};

/// What the layer around every route shares.
pub(crate) struct Stack {
    settings: Arc<ArcSwap<Settings>>,
    overload: Overload,
    balancer: Balancer,
    uploads: Uploads,
    faults: Faults,
    tracing: Tracing,
    access: AccessLog,
    metrics: RouteMetrics,
    work: WorkRuntime,
    served: Arc<Served>,
}

/// Counts completed requests since the start.
#[derive(Debug, Default)]
pub struct Served {
    completed: AtomicU64,
    failed: AtomicU64,
}

impl Served {
    /// The number of completed requests.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.completed.load(Relaxed)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { completed: self.get(), failed: self.failed.load(Relaxed) }
    }
}

/// What a [`Stack`] is made of.
pub(crate) struct Parts {
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) overload: Overload,
    pub(crate) balancer: Balancer,
    pub(crate) faults: Faults,
    pub(crate) tracing: Tracing,
    pub(crate) access: AccessLog,
    pub(crate) work: WorkRuntime,
    pub(crate) served: Arc<Served>,
}

impl Stack {
    pub(crate) fn new(parts: Parts, registry: &Registry) -> Arc<Self> {
        let Parts { settings, overload, balancer, faults, tracing, access, work, served } = parts;
        let metrics = RouteMetrics::new(registry);
        let uploads = Uploads::new(Arc::clone(&settings), registry);
        Arc::new(Self { settings, overload, balancer, uploads, faults, tracing, access, metrics, work, served })
    }

    /// The route `template`, whose methods are those of `handlers`; `pool` is the name of its pool where it has one of its own.
    pub(crate) fn route(
        &self,
        template: &str,
        kind: Kind,
        pool: Option<&str>,
        marks: &Marks,
        handlers: impl Into<Dispatch>,
    ) -> Arc<Route> {
        let pool = kind.runtime().map(|runtime| self.overload.limiter(runtime, pool));
        Arc::new(Route::new(template, kind, pool, handlers.into(), &self.metrics).marked(marks))
    }
}
