//! One of axum's routers, mounted whole, with the paths that it has.
//!
//! axum tells a path only to the request that matched it, and not even to that one behind `nest_service`. But a route's
//! limit, pool and metrics are chosen before its handler is called. The paths are in what the router prints for
//! debugging, so they are read there, once. That is no promise of axum's: where it cannot be read, everything the
//! router serves is one route without a name, and a line in the log says so. A test holds it for the version in use.
//!
//! Next: [`super::build`].

use super::options;

/// The router and its paths.
#[derive(Clone, Debug)]
pub(super) struct Mounted {
    router: axum::Router,
    paths: Vec<Path>,
    fallbacks: Vec<Path>,
}

/// A path, and the route that it counts for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    pub(super) path: String,
    pub(super) template: String,
}

/// What axum calls the rest of a path below `nest_service`, and below a fallback.
const TAILS: [&str; 2] = ["{*__private__axum_nest_tail_param}", "{*__private__axum_fallback}"];

/// What everybody else calls it.
const REST: &str = "{*rest}";

impl Mounted {
    pub(super) fn new(router: axum::Router) -> Self {
        let (paths, fallbacks) = read(&router).unwrap_or_else(|| {
            tracing::warn!("a router of axum's does not show its paths: all of them are one route in metrics");
            (Vec::new(), ["/", "/{*rest}"].map(str::to_owned).into())
        });
        Self { router, paths: templates(paths), fallbacks: templates(fallbacks) }
    }

    pub(super) fn map(self, change: impl FnOnce(axum::Router) -> axum::Router) -> Self {
        Self { router: change(self.router), ..self }
    }

    pub(super) fn below(self, prefix: &str) -> Self {
        match prefix {
            "" | "/" => self,
            prefix => Self::new(axum::Router::new().nest(prefix, self.router)),
        }
    }

    pub(super) fn into_router(self) -> axum::Router {
        self.router
    }

    pub(super) fn routes(&self) -> &[Path] {
        &self.paths
    }

    /// Whether it has something for `OPTIONS /`: a handler at that path, else a fallback.
    pub(super) fn answers_options_of_root(&self) -> bool {
        let has_fallback = self.fallbacks.iter().any(|path| path.path == "/");
        if self.has_root() { options::is_handled_in(&format!("{:?}", self.router), "/") } else { has_fallback }
    }

    pub(super) fn has_root(&self) -> bool {
        self.paths.iter().any(|path| path.path == "/")
    }

    pub(super) fn fallbacks(&self) -> &[Path] {
        &self.fallbacks
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| path.template.as_str())
    }
}

/// The paths of its routes, and of its own fallbacks.
fn read(router: &axum::Router) -> Option<(Vec<String>, Vec<String>)> {
    let printed = format!("{router:?}");
    let mut tables = printed.split("node: Node { paths: {").skip(1);
    let (paths, mut fallbacks) = (quoted(tables.next()?)?, quoted(tables.next()?)?);
    if printed.contains("default_fallback: true") {
        // axum's 404, which is ours.
        fallbacks.retain(|path| path != "/" && tail(path) != Some(""));
    }
    (router.has_routes() != paths.is_empty() && tables.next().is_none()).then_some((paths, fallbacks))
}

/// The texts in `RouteId(1): "/a", RouteId(2): "/b"}…`.
fn quoted(table: &str) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    let mut rest = table;
    while !rest.starts_with('}') {
        let (_, text) = rest.trim_start_matches(", ").strip_prefix("RouteId(")?.split_once("): \"")?;
        let (path, after) = text.split_once('"')?;
        // An escaped quote, or another escape.
        if path.contains('\\') {
            return None;
        }
        paths.push(path.to_owned());
        rest = after;
    }
    Some(paths)
}

/// Each path with its route; in order, as axum has none.
fn templates(mut paths: Vec<String>) -> Vec<Path> {
    paths.sort();
    let prefixes: Vec<String> = paths.iter().filter_map(|path| tail(path)).map(str::to_owned).collect();
    let template = |path: &str| {
        let prefix = tail(path).unwrap_or(path.trim_end_matches('/'));
        if prefixes.iter().any(|known| known == prefix) { format!("{prefix}/{REST}") } else { path.to_owned() }
    };
    paths.iter().map(|path| Path { template: template(path), path: path.clone() }).collect()
}

/// The prefix of a path whose rest axum takes.
fn tail(path: &str) -> Option<&str> {
    TAILS.iter().find_map(|tail| path.strip_suffix(tail)?.strip_suffix('/'))
}
