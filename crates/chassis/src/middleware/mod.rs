//! What every request passes, whichever door it came through: one fused layer around each route.
//!
//! ```text
//! observe                        outside, so that refused requests are seen as well
//!   request id                   first: every line and every problem names it
//!   trace context, sampling      before a span is built: an unsampled request builds none
//!   in flight, duration, access line
//!   server span                  around the handler's polls
//!   panic catcher                innermost of observe: a panic is a response like any other
//! protect
//!   head limits  414 431         ours are below the parser's, so that the answer is a problem
//!   body limit   413             what Content-Length admits to, before anything is read
//!   deadline     504             passed already: no work
//!   admission    503             before the body is read, held until the work ends, lent while the client is waited for
//!   faults                       inside admission: a slow fault holds a place as a slow handler does
//!   timeout      504             up to the response head; its timer starts when the handler first waits
//!   body pace    408 413         on requests that have a body
//!   uploads      408             those whose client is waited for, and which of them gives way
//! handler                        on the I/O runtime, or the work runtime
//! response                       outermost on the way back: problems of bare errors, headers of every response, HEAD
//! ```
//!
//! One future does it all: as seven boxed layers the same costs several times as much on every request. It refuses to
//! know what a route does.
//!
//! Next: `routes`, where a request comes in.

mod body;
mod deadline;
mod request_future;
mod head;
mod host;
mod id;
mod protect;
mod observation;
mod response;
pub(crate) mod route;
pub(crate) mod routes;
mod settings;
mod uploads;

pub(crate) use settings::Settings;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::runtime::Handle;

use self::{
    route::{Kind, Route, RouteMetrics},
    uploads::Uploads,
};
use crate::{
    faults::Faults,
    overload::Overload,
    telemetry::{AccessLog, Tracing},
};

/// What the layer around every route shares.
pub(crate) struct Stack {
    settings: Arc<ArcSwap<Settings>>,
    overload: Overload,
    uploads: Uploads,
    faults: Faults,
    tracing: Tracing,
    access: AccessLog,
    metrics: RouteMetrics,
    work: Handle,
    served: Arc<Served>,
}

/// How many requests were answered since the start.
#[derive(Debug, Default)]
pub struct Served(AtomicU64);

impl Served {
    /// The number of answered requests.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a [`Stack`] is made of.
pub(crate) struct Parts {
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) overload: Overload,
    pub(crate) faults: Faults,
    pub(crate) tracing: Tracing,
    pub(crate) access: AccessLog,
    pub(crate) work: Handle,
    pub(crate) served: Arc<Served>,
}

impl Stack {
    pub(crate) fn new(parts: Parts, registry: &Registry) -> Arc<Self> {
        let Parts { settings, overload, faults, tracing, access, work, served } = parts;
        let metrics = RouteMetrics::new(registry);
        let uploads = Uploads::new(Arc::clone(&settings), registry);
        Arc::new(Self { settings, overload, uploads, faults, tracing, access, metrics, work, served })
    }

    /// The route `template`, whose methods are those of `handlers`; `pool` is the name of its pool where it has one of its own.
    pub(crate) fn route(&self, template: &str, kind: Kind, pool: Option<&str>, handlers: axum::Router) -> Arc<Route> {
        let pool = kind.runtime().map(|runtime| self.overload.limiter(runtime, pool));
        Arc::new(Route::new(template, kind, pool, handlers, &self.metrics))
    }
}
