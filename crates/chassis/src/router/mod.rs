//! axum's routes with what a replica needs to know of each: its runtime, the pool that admits its requests, its limits.
//!
//! The chassis must know all routes before the first request: their metrics are resolved once, and a CPU-bound handler
//! must not run on the threads that accept connections. axum's own router exposes a route's path only to the request
//! that matched it, so this one records the routes and builds axum's from them. It takes what axum's takes, and whole
//! routers of axum's, whose paths it reads.
//!
//! Next: [`super::middleware`], which every request passes on its way to the handlers.

mod build;
mod layers;
mod marks;
mod mounted;
mod options;
mod route;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use axum::{
    extract::Request,
    handler::Handler,
    response::IntoResponse,
    routing::{MethodRouter, any, any_service},
};
use tower_service::Service;

use self::route::{Handlers, Route};
use crate::{
    middleware::route::Kind,
    openapi::{Described, Methods},
};

/// Routes of an app, with axum's handlers and axum's path syntax (`/v1/things/{id}`).
#[derive(Clone, Debug)]
pub struct Router<S = ()> {
    routes: Vec<Route<S>>,
    /// Of this router; without it, the one of the router around it.
    fallback: Option<Route<S>>,
    /// Those of routers inside, below their prefixes.
    fallbacks: Vec<Route<S>>,
}

impl<S> Default for Router<S> {
    fn default() -> Self {
        Self { routes: Vec::new(), fallback: None, fallbacks: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route: [`Methods`], or axum's [`MethodRouter`], which has no description.
    #[must_use]
    pub fn route(self, path: &str, methods: impl Into<Methods<S>>) -> Self {
        self.with(Route::new(path, Kind::Io, methods.into()))
    }

    /// Adds a service that answers every method at `path`.
    #[must_use]
    pub fn route_service<T>(self, path: &str, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse,
        T::Future: Send + 'static,
    {
        self.with(Route::new(path, Kind::Io, Methods::from(any_service(service)).undescribed()))
    }

    /// Adds a service for `prefix` and everything below it, such as tower-http's `ServeDir`. As in axum, it sees the path
    /// without the prefix. In metrics it is one route: `/files/{*rest}`.
    ///
    /// # Panics
    /// On an empty prefix: that is [`Router::fallback_service`].
    #[must_use]
    pub fn nest_service<T>(self, prefix: &str, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse,
        T::Future: Send + 'static,
    {
        self.merge_axum(axum::Router::new().nest_service(prefix, service))
    }

    /// Adds the routes of one of axum's routers, unchanged: each is counted by its template, admitted, timed, traced and
    /// drained like the others, and none is described. What it does with paths and methods that it does not have, it
    /// does here too. `cpu_bound` and the other marks behind it are for all of its routes.
    ///
    /// # Panics
    /// The start panics on a path that another route has, and where there is a second fallback.
    #[must_use]
    pub fn merge_axum(self, router: axum::Router) -> Self {
        self.with(Route::mounted(router))
    }

    /// The same below `prefix`: as in axum, its handlers see the path without the prefix.
    ///
    /// # Panics
    /// On an empty prefix: that is [`Router::merge_axum`].
    #[must_use]
    pub fn nest_axum(self, prefix: &str, router: axum::Router) -> Self {
        self.merge_axum(axum::Router::new().nest(prefix, router))
    }

    /// A route that is never shed and not logged: for health checks by balancers on the traffic port.
    #[must_use]
    pub(crate) fn probe(self, path: &str, handlers: MethodRouter<S>) -> Self {
        self.with(Route::new(path, Kind::Probe, handlers.into()))
    }

    fn with(mut self, route: Route<S>) -> Self {
        self.routes.push(route);
        self
    }

    /// Serves every unmatched path with a handler, as axum's; below a prefix where this router is nested. In metrics it is
    /// the route without a name.
    #[must_use]
    pub fn fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.with_fallback(any(handler))
    }

    /// Serves every unmatched path with a service, as [`Router::fallback`] does with a handler.
    #[must_use]
    pub fn fallback_service<T>(self, service: T) -> Self
    where
        T: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        T::Response: IntoResponse,
        T::Future: Send + 'static,
    {
        self.with_fallback(any_service(service))
    }

    fn with_fallback(mut self, handlers: MethodRouter<S>) -> Self {
        self.fallback = Some(Route::new("", Kind::Io, handlers.into()));
        self
    }

    /// Serves every unmatched path, in its own pool. `name` is the pool's name, and the route's name in metrics.
    #[must_use]
    pub fn named_fallback(mut self, name: &str, handlers: MethodRouter<S>) -> Self {
        let pool = Some(name.to_owned());
        self.fallback = Some(Route { pool, ..Route::new(name, Kind::Io, handlers.into()) });
        self
    }

    /// Adds the routes of another router.
    ///
    /// # Panics
    /// If both have a fallback.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        let own = |fallback: &Option<Route<S>>| fallback.as_ref().is_some_and(|route| route.kind != Kind::Unmatched);
        assert!(!own(&self.fallback) || !own(&other.fallback), "two routers that are merged both have a fallback");
        self.fallback = if own(&other.fallback) { other.fallback } else { self.fallback.or(other.fallback) };
        self.routes.extend(other.routes);
        self.fallbacks.extend(other.fallbacks);
        self
    }

    /// Adds the routes of another router below `prefix`, and its fallback for the paths there that it has not. Unlike
    /// axum's, its handlers see the whole path: taking the prefix off would cost each request.
    #[must_use]
    pub fn nest(mut self, prefix: &str, other: Self) -> Self {
        let below = |route: Route<S>| route.below(prefix);
        self.routes.extend(other.routes.into_iter().map(below));
        let own = other.fallback.filter(|route| route.kind != Kind::Unmatched);
        self.fallbacks.extend(own.map(|route| Route { path: String::new(), ..route }).map(below));
        self.fallbacks.extend(other.fallbacks.into_iter().map(below));
        self
    }

    /// Gives every handler its state.
    #[must_use]
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Router<T> {
        let with_state = |route: Route<S>| route.map(|methods| methods.with_state(state.clone()), |mounted| mounted);
        Router {
            routes: self.routes.into_iter().map(with_state).collect(),
            fallback: self.fallback.map(with_state),
            fallbacks: self.fallbacks.into_iter().map(with_state).collect(),
        }
    }

    /// The paths, as they were added.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().flat_map(|route| {
            let (own, mounted) = match &route.handlers {
                Handlers::Methods(_) => (Some(route.path.as_str()), None),
                Handlers::Mounted(mounted) => (None, Some(mounted.paths())),
            };
            own.into_iter().chain(mounted.into_iter().flatten())
        })
    }

    /// The paths of routes without a description, for the test that requires one. Those that are left out on purpose
    /// are not among them: [`Methods::undescribed`], services, and axum's routers.
    pub fn undescribed(&self) -> impl Iterator<Item = &str> {
        let forgotten = |route: &&Route<S>| route.described.is_empty() && !route.is_left_out;
        self.routes.iter().filter(forgotten).map(|route| route.path.as_str())
    }

    /// The paths of routes with a description, for the test that looks for them in the document.
    pub fn described_paths(&self) -> impl Iterator<Item = &str> {
        self.described().filter(|(_, described)| !described.is_empty()).map(|(path, _)| path)
    }

    /// The paths of routes with a type that declares bounds and is read by an extractor that does not hold them, such as
    /// axum's own `Json`; for the test that forbids them.
    pub fn unheld(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let types = |described: &Described| described.unheld.clone();
        self.described()
            .flat_map(move |(path, described)| described.iter().flat_map(types).map(move |name| (path, name)))
    }

    /// The paths with the descriptions of their handlers.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&str, &[Described])> {
        let told = self.routes.iter().filter(|route| !route.is_left_out);
        told.map(|route| (route.path.as_str(), route.described.as_slice()))
    }
}
