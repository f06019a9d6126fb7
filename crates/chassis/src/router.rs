//! axum's routes with two attributes: the runtime of the handler, and the pool that admits its requests.
//!
//! The chassis must know all routes before the first request: their metrics are resolved once, and a CPU-bound handler
//! must not run on the threads that accept connections. axum's own router exposes a route's path only to the request
//! that matched it, so this one records the routes and builds axum's from them.
//!
//! Next: [`super::middleware`], which every request passes on its way to the handlers.

use std::{convert::Infallible, sync::Arc};

use axum::routing::MethodRouter;

use crate::{
    middleware::{
        Stack,
        route::Kind,
        routes::{Routes, Target},
    },
    openapi::{Described, Methods, Page, Scheme},
    problem::{Code, Problem},
    telemetry::Identity,
};

/// Routes of an app, with axum's handlers and axum's path syntax (`/v1/things/{id}`).
#[derive(Clone, Debug)]
pub struct Router<S = ()> {
    routes: Vec<Route<S>>,
    /// The fallback for unmatched paths; none means 404.
    fallback: Option<Route<S>>,
}

#[derive(Clone, Debug)]
struct Route<S> {
    path: String,
    handlers: MethodRouter<S, Infallible>,
    described: Vec<Described>,
    is_left_out: bool,
    kind: Kind,
    pool: Option<String>,
}

impl<S> Default for Router<S> {
    fn default() -> Self {
        Self { routes: Vec::new(), fallback: None }
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
    pub fn route(mut self, path: &str, methods: impl Into<Methods<S>>) -> Self {
        let Methods { handlers, described, is_left_out } = methods.into();
        self.routes.push(Route { path: path.to_owned(), handlers, described, is_left_out, kind: Kind::Io, pool: None });
        self
    }

    /// Runs the route added last on the work runtime: for handlers that compute for more than about a
    /// millisecond between two awaits, which would block everything else on the I/O runtime.
    ///
    /// # Panics
    /// Before any route was added.
    #[must_use]
    pub fn cpu_bound(mut self) -> Self {
        self.routes.last_mut().expect("`cpu_bound` marks the route before it").kind = Kind::Work;
        self
    }

    /// Gives the route added last its own pool, shared with all routes of that `name`: for routes
    /// with a dependency that others do not have, such as a database. When it is slow, only they
    /// are refused. The name is the label `pool` of the metrics `overload_*`.
    ///
    /// # Panics
    /// Before any route was added. The start panics where routes of one pool run on different runtimes.
    #[must_use]
    pub fn pool(mut self, name: &str) -> Self {
        self.routes.last_mut().expect("`pool` marks the route before it").pool = Some(name.to_owned());
        self
    }

    /// Says that all routes so far need `scheme`, `name` in the description, with the problems 401 and 403. It checks
    /// nothing: put it beside the layer that does.
    #[must_use]
    pub fn secured(mut self, name: &'static str, scheme: Scheme) -> Self {
        let described = self.routes.iter_mut().flat_map(|route| &mut route.described);
        described.for_each(|described| described.secure(name, scheme));
        self
    }

    /// Serves every unmatched path, in its own pool. `name` is the pool's name, and the route's name in metrics.
    #[must_use]
    pub fn fallback(mut self, name: &str, handlers: MethodRouter<S>) -> Self {
        let (path, pool) = (name.to_owned(), Some(name.to_owned()));
        let described = Vec::new();
        self.fallback = Some(Route { path, handlers, described, is_left_out: true, kind: Kind::Io, pool });
        self
    }

    /// A route that is never shed and not logged: for health checks by balancers on the traffic port.
    #[must_use]
    pub(crate) fn probe(mut self, path: &str, handlers: MethodRouter<S>) -> Self {
        self.routes.push(Route {
            path: path.to_owned(),
            handlers,
            described: Vec::new(),
            is_left_out: true,
            kind: Kind::Probe,
            pool: None,
        });
        self
    }

    /// Adds the routes of another router.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self.fallback = self.fallback.or(other.fallback);
        self
    }

    /// Adds the routes of another router below `prefix`, without its fallback.
    #[must_use]
    pub fn nest(mut self, prefix: &str, other: Self) -> Self {
        let below = |route: Route<S>| Route { path: join(prefix, &route.path), ..route };
        self.routes.extend(other.routes.into_iter().map(below));
        self
    }

    /// Gives every handler its state.
    #[must_use]
    pub fn with_state<T: Clone + Send + Sync + 'static>(self, state: S) -> Router<T> {
        let with_state = |route: Route<S>| Route {
            path: route.path,
            handlers: route.handlers.with_state(state.clone()),
            described: route.described,
            is_left_out: route.is_left_out,
            kind: route.kind,
            pool: route.pool,
        };
        Router { routes: self.routes.into_iter().map(with_state).collect(), fallback: self.fallback.map(with_state) }
    }

    /// The paths, as they were added.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| route.path.as_str())
    }

    /// The paths of routes without a description, for the test that requires one. Those that are left out on purpose
    /// are not among them.
    pub fn undescribed(&self) -> impl Iterator<Item = &str> {
        self.described().filter(|(_, described)| described.is_empty()).map(|(path, _)| path)
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

impl Router {
    /// Adds `/openapi.json`, which describes the routes added so far, and `/docs`, which shows it. `about` is the API's
    /// title and, below an empty line, its description in Markdown.
    #[must_use]
    pub fn documented(self, about: &'static str, identity: &Identity) -> Self {
        let page = Page::new();
        let add = |router: Self, (path, methods): (&str, Methods<()>)| router.route(path, methods);
        let served = page.routes().into_iter().fold(self, add);
        let routes = served.described().map(|(path, described)| (path.to_owned(), described.to_vec())).collect();
        page.describe(about, identity, routes);
        served
    }

    /// Each route inside the middleware. Routes may share a path if their methods differ.
    ///
    /// # Panics
    /// On a path that axum refuses or that two routes share with the same method, and where routes of one pool run on
    /// different runtimes.
    pub(crate) fn build(self, stack: &Arc<Stack>) -> Routes {
        let mut paths: Vec<(String, Vec<Route<()>>)> = Vec::new();
        for route in self.routes {
            match paths.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, routes)) => routes.push(route),
                None => paths.push((route.path.clone(), vec![route])),
            }
        }
        let paths = paths.into_iter().map(|(path, routes)| {
            let targets = targets(stack, &path, routes);
            (path, targets)
        });
        let paths = paths.collect();
        let anywhere = axum::Router::new();
        let unmatched = match self.fallback {
            Some(Route { path, handlers, kind, pool, .. }) => {
                stack.route(&path, kind, pool.as_deref(), anywhere.fallback_service(handlers))
            }
            None => stack.route("", Kind::Unmatched, None, anywhere.fallback(not_found)),
        };
        Routes::new(Arc::clone(stack), paths, unmatched)
    }

    /// The routes alone, without middleware: for an app's own unit tests.
    pub fn into_axum(self) -> axum::Router {
        let bare = |router: axum::Router, route: Route<()>| router.route(&route.path, route.handlers);
        let fallback = self.fallback.map(|route| axum::Router::new().fallback_service(route.handlers));
        self.routes.into_iter().fold(fallback.unwrap_or_default(), bare)
    }
}

/// The routes of one path. axum's router has all of their methods, so that each can list them in `Allow`.
fn targets(stack: &Stack, path: &str, routes: Vec<Route<()>>) -> Vec<Target> {
    let all = |router: axum::Router, route: &Route<()>| router.route(path, route.handlers.clone());
    // With its state, so that each handler becomes a service now; otherwise axum converts it for each request.
    let handlers = routes.iter().fold(axum::Router::new(), all).with_state(());
    let target = |route: Route<()>| Target {
        methods: route.described.iter().map(Described::method).collect(),
        route: stack.route(path, route.kind, route.pool.as_deref(), handlers.clone()),
    };
    routes.into_iter().map(target).collect()
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound)
}

fn join(prefix: &str, path: &str) -> String {
    match (prefix.trim_end_matches('/'), path) {
        (prefix, "/") if !prefix.is_empty() => prefix.to_owned(),
        (prefix, path) => format!("{prefix}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[test]
    fn nested_routes_are_named_in_full() {
        let inner = Router::<()>::new().route("/", get(not_found)).route("/{id}", get(not_found));
        let router = Router::new().route("/", get(not_found)).nest("/v1/things", inner);
        assert_eq!(router.paths().collect::<Vec<_>>(), ["/", "/v1/things", "/v1/things/{id}"]);
    }

    #[tokio::test]
    async fn a_fallback_answers_what_no_route_matches() {
        let inner = Router::<()>::new().fallback("inner", get(async || "inner"));
        let router = Router::new().route("/", get(async || "route")).nest("/v1", inner);
        let router = router.fallback("other", get(async || "fallback"));
        assert_eq!(router.paths().collect::<Vec<_>>(), ["/"], "it is no route");
        assert_eq!(router.undescribed().count(), 1);
        let router = router.into_axum();
        for (path, expected) in [("/", "route"), ("/other", "fallback"), ("/v1/other", "fallback")] {
            let request = axum::extract::Request::get(path).body(axum::body::Body::empty()).expect("a request");
            let Ok(answer) = router.clone().oneshot(request).await;
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(body, expected, "{path}");
        }
    }
}
