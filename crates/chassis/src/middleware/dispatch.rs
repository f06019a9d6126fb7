//! The handlers of a route: some are called directly, and axum's router has all of them.
//!
//! axum's router looks the path up again, notes in the request what some of its extractors read (`Path`, `MatchedPath`),
//! and clones the handler as a boxed service: 3,900 instructions for a request, against 1,050 for a handler behind one
//! pointer. So a handler is called directly where the types of its parameters say that none reads those notes.
//! Everything else is the router's, so that it stays exactly axum's: HEAD, a 405 and its `Allow`, layers, and routes of
//! axum's own method routers.
//!
//! Next: [`super::request_future`].

use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{extract::Request, handler::Handler, response::Response, routing::MethodRouter};
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, header};
use http_body::Body as _;
use tower_service::Service as _;

/// The handlers of one route, which wait for nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    direct: Vec<(Method, Direct)>,
    router: axum::Router,
}

impl Dispatch {
    /// `router` has those of `direct` too.
    pub(crate) fn new(direct: Vec<(Method, Direct)>, router: axum::Router) -> Self {
        Self { direct, router }
    }

    /// Whether the handler of `method` is called without axum's router, and so without any layer around it.
    pub(super) fn is_direct(&self, method: &Method) -> bool {
        self.direct_of(method).is_some()
    }

    fn direct_of(&self, method: &Method) -> Option<&Direct> {
        self.direct.iter().find(|(of, _)| of == method).map(|(_, direct)| direct)
    }

    pub(super) fn call(&self, request: Request) -> Pending {
        match self.direct_of(request.method()) {
            Some(direct) => Pending::Direct((direct.0)(request)),
            None => Pending::Routed(Box::pin(self.router.clone().call(request).map(|Ok(response)| response))),
        }
    }
}

impl From<axum::Router> for Dispatch {
    fn from(router: axum::Router) -> Self {
        Self::new(Vec::new(), router)
    }
}

/// A handler that has its state.
#[derive(Clone)]
pub(crate) struct Direct(Arc<dyn Fn(Request) -> Boxed + Send + Sync>);

type Boxed = Pin<Box<dyn Future<Output = Response> + Send>>;

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}

/// A handler's response to come.
pub(super) enum Pending {
    Direct(Boxed),
    Routed(Boxed),
}

impl Future for Pending {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        match self.get_mut() {
            Self::Direct(handler) => Poll::Ready(with_zero_length(ready!(handler.as_mut().poll(cx)))),
            Self::Routed(handler) => handler.as_mut().poll(cx),
        }
    }
}

/// Notes that a body is empty, as axum's router does: hyper writes the length of each other known body, but over HTTP/2
/// not this one.
fn with_zero_length(mut response: Response) -> Response {
    if response.body().size_hint().exact() == Some(0) {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    response
}

/// Dispatch of one path by method, before they have their state `S`.
#[derive(Clone, Debug)]
pub(crate) struct ByMethod<S> {
    /// All of them.
    pub(crate) routed: MethodRouter<S>,
    /// Those that can be called without axum's router, once more.
    direct: Vec<(Method, Unstated<S>)>,
}

impl<S: Clone> Default for ByMethod<S> {
    fn default() -> Self {
        Self::from(MethodRouter::new())
    }
}

impl<S> From<MethodRouter<S>> for ByMethod<S> {
    fn from(routed: MethodRouter<S>) -> Self {
        Self { routed, direct: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> ByMethod<S> {
    /// With `handler` for `method`, which `routed` has already.
    pub(crate) fn with_direct<H: Handler<T, S>, T: 'static>(mut self, method: Method, handler: H) -> Self {
        self.direct.push((method, Unstated::new(handler)));
        self
    }

    /// `layer` is around each handler, so none is called without it.
    pub(crate) fn layered(self, layer: impl FnOnce(MethodRouter<S>) -> MethodRouter<S>) -> Self {
        Self::from(layer(self.routed))
    }

    pub(crate) fn with_state<T>(self, state: S) -> ByMethod<T> {
        let with_state = |(method, handler): (Method, Unstated<S>)| (method, handler.with_state(state.clone()));
        ByMethod { direct: self.direct.into_iter().map(with_state).collect(), routed: self.routed.with_state(state) }
    }
}

impl ByMethod<()> {
    /// Those to call directly.
    pub(crate) fn direct(&self) -> Vec<(Method, Direct)> {
        self.direct.iter().map(|(method, handler)| (method.clone(), (handler.0)(()))).collect()
    }
}

/// A handler without its state.
#[derive(Clone)]
struct Unstated<S>(Arc<dyn Fn(S) -> Direct + Send + Sync>);

impl<S: Clone + Send + Sync + 'static> Unstated<S> {
    fn new<H: Handler<T, S>, T: 'static>(handler: H) -> Self {
        Self(Arc::new(move |state| {
            let handler = handler.clone();
            Direct(Arc::new(move |request| boxed(handler.clone().call(request, state.clone()))))
        }))
    }

    fn with_state<T>(self, state: S) -> Unstated<T> {
        let direct = (self.0)(state);
        Unstated(Arc::new(move |_| direct.clone()))
    }
}

impl<S> fmt::Debug for Unstated<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstated").finish_non_exhaustive()
    }
}

/// The future of a handler in a box. A function's is in one already, as axum returns it: another would cost 200
/// instructions.
fn boxed<F: Future<Output = Response> + Send + 'static>(future: F) -> Boxed {
    let mut future = Some(future);
    if let Some(boxed) = (&mut future as &mut dyn Any).downcast_mut::<Option<Boxed>>() {
        return boxed.take().expect("was put there");
    }
    Box::pin(future.expect("was put there"))
}
