//! A router made into what serves: each route inside the middleware, or without it for unit tests.
//!
//! Next: [`crate::middleware::routes`].

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::DefaultBodyLimit, routing::MethodRouter};

use super::{
    Handlers, Route, Router,
    mounted::{Mounted, Path},
    options,
};
use crate::{
    middleware::{
        Stack,
        dispatch::{ByMethod, Dispatch},
        route::{Kind, Marks, Route as Inside},
        routes::{Checks, Paths, Routes, Target},
    },
    openapi::{Described, Methods, Page},
    problem::{Code, Problem},
    telemetry::Identity,
};

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
    /// On a path that axum refuses or that two routes share with the same method, or with different marks where no
    /// description says which methods each has; where there are two fallbacks, and where
    /// routes of one pool run on different runtimes.
    pub(crate) fn build(self, stack: &Arc<Stack>) -> Routes {
        let mut paths = Paths::default();
        let mut own: Vec<(String, Vec<Own>)> = Vec::new();
        let (routes, mounted) = apart(self.routes);
        // First those of axum's routers: where paths conflict, the one that is added second is named.
        for (mounted, route) in &mounted {
            paths.routes.extend(spread(stack, route, mounted, mounted.routes()));
            paths.fallbacks.extend(spread(stack, route, mounted, mounted.fallbacks()));
        }
        let has_own = self.fallback.as_ref().is_some_and(|route| route.kind != Kind::Unmatched);
        let has_other = paths.fallbacks.iter().any(|(path, _)| path == "/");
        assert!(!has_own || !has_other, "two fallbacks: one of the router, and one of a router of axum's in it");
        paths.checks = checks(stack, &routes, &mounted, has_own || has_other);
        for route in routes {
            match own.iter_mut().find(|(path, _)| *path == route.1.path) {
                Some((_, routes)) => routes.push(route),
                None => own.push((route.1.path.clone(), vec![route])),
            }
        }
        paths.routes.extend(own.into_iter().map(|(path, routes)| {
            let targets = targets(stack, &path, routes);
            (path, targets)
        }));
        for (handlers, Route { path, kind, pool, marks, .. }) in apart(self.fallbacks).0 {
            let rest = format!("{path}/{{*rest}}");
            let route = stack.route(&rest, kind, pool.as_deref(), &marks, anywhere(handlers.routed));
            let paths_below = [format!("{path}/"), path, rest].map(|path| (path, vec![Target::any(&route)]));
            paths.fallbacks.extend(paths_below);
        }
        Routes::new(Arc::clone(stack), paths, unmatched(stack, self.fallback))
    }

    /// The routes alone, without middleware: for an app's own unit tests.
    ///
    /// # Panics
    /// Where two routes share a path and a method.
    pub fn into_axum(self) -> axum::Router {
        let (own, mounted) = apart(self.routes);
        let has_other = mounted.iter().any(|(mounted, _)| mounted.fallbacks().iter().any(|path| path.path == "/"));
        // As in `build`: a 404 with layers around it gives way to a fallback of a router of axum's.
        let fallback = self.fallback.filter(|route| route.kind != Kind::Unmatched || !has_other);
        let (fallback, fallbacks) = (apart(fallback).0.pop(), apart(self.fallbacks).0);
        let mut router = fallback.map(|(handlers, _)| anywhere(handlers.routed)).unwrap_or_default();
        for (handlers, route) in own {
            let handlers = match route.marks.cors().cloned() {
                Some(cors) => handlers.routed.layer(cors),
                None => handlers.routed,
            };
            router = router.route(&route.path, handlers);
        }
        for (mounted, _) in mounted {
            router = router.merge(mounted.into_router());
        }
        for (handlers, route) in fallbacks {
            router = router.nest(&route.path, anywhere(handlers.routed));
        }
        // As in the middleware: axum's own limit holds nowhere.
        router.layer(DefaultBodyLimit::disable())
    }
}

/// A route without its handlers, and they.
pub(super) type Own = (ByMethod<()>, Route<()>);

/// The routes of one path each, and those of axum's routers.
pub(super) fn apart(routes: impl IntoIterator<Item = Route<()>>) -> (Vec<Own>, Vec<(Mounted, Route<()>)>) {
    let (mut own, mut mounted) = (Vec::new(), Vec::new());
    for mut route in routes {
        match std::mem::replace(&mut route.handlers, Handlers::Methods(Box::default())) {
            Handlers::Methods(handlers) => own.push((*handlers, route)),
            Handlers::Mounted(whole) => mounted.push((whole, route)),
        }
    }
    (own, mounted)
}

/// # Panics
/// Where two routes that do not say their methods are marked differently.
pub(super) fn refuse_unlike(path: &str, routes: &[Own]) {
    let undescribed = || routes.iter().map(|(_, route)| route).filter(|route| route.described.is_empty());
    assert!(
        undescribed().skip(1).all(|route| undescribed().next().is_some_and(|first| first.is_marked_like(route))),
        "{path:?} has two routes of axum's method routers with different marks: nothing says which is for which method"
    );
}

/// The routes of one path. axum's router has all of their methods, so that each can list them in `Allow`.
fn targets(stack: &Stack, path: &str, routes: Vec<Own>) -> Vec<Target> {
    refuse_unlike(path, &routes);
    let all = |router: axum::Router, (handlers, _): &Own| router.route(path, handlers.routed.clone());
    // With its state, so that each handler becomes a service now; otherwise axum converts it for each request.
    let all_of_path = routes.iter().fold(axum::Router::new(), all).with_state(());
    let target = |(own, route): Own| {
        let handlers = Dispatch::new(own.direct(), all_of_path.clone());
        Target {
            methods: route.described.iter().map(Described::method).collect(),
            route: stack.route(path, route.kind, route.pool.as_deref(), &route.marks, handlers),
        }
    };
    routes.into_iter().map(target).collect()
}

/// What answers `OPTIONS *`, and `OPTIONS /` where the app has nothing for it: the verdict of `/healthz`.
fn checks(stack: &Stack, own: &[Own], mounted: &[(Mounted, Route<()>)], has_fallback: bool) -> Option<Checks> {
    let (handlers, route) = own.iter().find(|(_, route)| route.kind == Kind::Probe)?;
    let at_root = || own.iter().filter(|(_, route)| route.path == "/");
    let is_apps = at_root().any(|(handlers, _)| options::has_handler(&handlers.routed))
        || mounted.iter().any(|(mounted, _)| mounted.answers_options_of_root())
        || (has_fallback && at_root().next().is_none() && !mounted.iter().any(|(mounted, _)| mounted.has_root()));
    let route = stack.route(&route.path, Kind::Probe, None, &route.marks, anywhere(handlers.routed.clone()));
    Some(Checks { route, of_root: !is_apps })
}

/// Some paths of one of axum's routers; those with the same template are one route.
fn spread(stack: &Stack, route: &Route<()>, mounted: &Mounted, paths: &[Path]) -> Vec<(String, Vec<Target>)> {
    let handlers = mounted.clone().into_router().with_state(());
    let mut routes: BTreeMap<&str, Arc<Inside>> = BTreeMap::new();
    let mut targets = Vec::new();
    for Path { path, template } in paths {
        let create = || stack.route(template, route.kind, route.pool.as_deref(), &route.marks, handlers.clone());
        let inside = routes.entry(template).or_insert_with(create);
        targets.push((path.clone(), vec![Target::any(inside)]));
    }
    targets
}

/// What answers the paths that no route matches.
fn unmatched(stack: &Stack, fallback: Option<Route<()>>) -> Arc<Inside> {
    if let Some((handlers, Route { path, kind, pool, marks, .. })) = apart(fallback).0.pop() {
        return stack.route(&path, kind, pool.as_deref(), &marks, anywhere(handlers.routed));
    }
    let handlers = axum::Router::new().fallback(not_found);
    stack.route("", Kind::Unmatched, None, &Marks::default(), handlers)
}

/// Handlers that answer whatever the path is.
fn anywhere(handlers: MethodRouter) -> axum::Router {
    axum::Router::new().fallback_service(handlers)
}

pub(super) async fn not_found() -> Problem {
    Problem::new(Code::NotFound)
}
