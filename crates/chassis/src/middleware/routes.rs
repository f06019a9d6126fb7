//! Route lookup: a protocol passes a request in, and gets one future back.
//!
//! axum's router would do, with the middleware as a layer around each route. But a layer is boxed there, and cloned for
//! each request together with everything inside it, and the request is moved at each step: a sixth of all
//! instructions. So the route is found here, and the middleware is a plain type around it; [`super::dispatch`] calls
//! its handler.
//!
//! Next: [`super::observation`].

use std::{fmt, pin::Pin, sync::Arc};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use tower_service::Service as _;

use super::{Stack, cors, host::Host, refused, request_future::RequestFuture, route::Route};
use crate::{
    peer::{ConnectionInfo, Respond, turn},
    problem::{Code, Problem},
};

/// Routes; a cheap handle.
#[derive(Clone)]
pub(crate) enum Routes {
    /// Each inside the middleware.
    Inside(Arc<Table>),
    /// Without it: the admin listener's.
    Bare(axum::Router),
    /// With `Strict-Transport-Security` (RFC 6797), which must not be sent over plain HTTP.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "the door https"))]
    Strict(Arc<(Routes, HeaderValue)>),
}

/// A pending response. Boxed: hyper reserves space for it in each connection, even an idle one.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

pub(crate) struct Table {
    stack: Arc<Stack>,
    paths: matchit::Router<Vec<Target>>,
    /// For what is below some prefixes and no path there.
    fallbacks: matchit::Router<Vec<Target>>,
    unmatched: Arc<Route>,
    checks: Option<Checks>,
}

/// Health checks by OPTIONS.
pub(crate) struct Checks {
    pub(crate) route: Arc<Route>,
    /// Of `/` too: the app has nothing for it.
    pub(crate) of_root: bool,
}

/// Paths, each with the routes that share it.
#[derive(Default)]
pub(crate) struct Paths {
    pub(crate) routes: Vec<(String, Vec<Target>)>,
    pub(crate) fallbacks: Vec<(String, Vec<Target>)>,
    pub(crate) checks: Option<Checks>,
}

/// One of the routes that share a path.
pub(crate) struct Target {
    /// Its own methods; none if it has no description.
    pub(crate) methods: Vec<Method>,
    pub(crate) route: Arc<Route>,
}

impl Target {
    /// A route whose methods are not known.
    pub(crate) fn any(route: &Arc<Route>) -> Self {
        Self { methods: Vec::new(), route: Arc::clone(route) }
    }
}

impl Routes {
    /// # Panics
    /// On conflicting paths.
    pub(crate) fn new(stack: Arc<Stack>, paths: Paths, unmatched: Arc<Route>) -> Self {
        let checks = paths.checks;
        let [paths, fallbacks] = [paths.routes, paths.fallbacks].map(table);
        Self::Inside(Arc::new(Table { stack, paths, fallbacks, unmatched, checks }))
    }
}

impl Respond for Routes {
    type Answer = Answer;

    fn respond(&self, mut request: Request, connection: &ConnectionInfo) -> Answer {
        match self {
            Self::Inside(table) => {
                let route = table.find(&request);
                let stack = Arc::clone(&table.stack);
                if let Some(cors) = &route.cors {
                    request.extensions_mut().insert(connection.clone());
                    return cors.call(stack, route, request);
                }
                let (route, connection) = (Arc::clone(route), Some(connection.clone()));
                // Started by its first poll: of the requests that arrive at once on an HTTP/2 connection, those that
                // become tasks may wait long for it, and only running requests need a place.
                Box::pin(RequestFuture::new(stack, route, request, connection))
            }
            Self::Bare(router) => {
                request.extensions_mut().insert(connection.clone());
                // Old health checkers send no host; an ambiguous one is refused here too.
                if let Some(detail) = Host::of(request.headers()).check(request.uri(), request.version(), false) {
                    let problem = Problem::new(Code::MalformedRequest).with_detail(detail);
                    return Box::pin(std::future::ready(problem.into_response()));
                }
                let answer = router.clone().call(request);
                Box::pin(async {
                    turn::forget();
                    answer.await.unwrap_or_else(|never| match never {})
                })
            }
            Self::Strict(strict) => {
                let (answer, strict) = (strict.0.respond(request, connection), Arc::clone(strict));
                Box::pin(async move {
                    let mut response = answer.await;
                    // An app's own header takes precedence.
                    let header = response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY);
                    header.or_insert_with(|| strict.1.clone());
                    response
                })
            }
        }
    }

    fn refused(&self, connection: &ConnectionInfo, status: StatusCode) {
        match self {
            Self::Inside(table) => refused::count(&table.stack, &table.unmatched, connection, status),
            Self::Bare(_) => {}
            Self::Strict(strict) => strict.0.refused(connection, status),
        }
    }
}

impl From<axum::Router> for Routes {
    fn from(router: axum::Router) -> Self {
        Self::Bare(router)
    }
}

impl Table {
    fn find(&self, request: &Request) -> &Arc<Route> {
        if *request.method() == Method::OPTIONS
            && let Some(check) = self.check(request)
        {
            return check;
        }
        match self.paths.at(request.uri().path()) {
            Ok(found) => choose(found.value, request),
            Err(_) => self.fallback(request),
        }
    }

    /// The route of a request that asks for the health of the server: of all of it (RFC 9110, section 9.3.7), or of a root
    /// that has no other answer to it. A preflight is a browser's.
    fn check(&self, request: &Request) -> Option<&Arc<Route>> {
        let checks = self.checks.as_ref()?;
        let is_preflight = || request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        match request.uri().path() {
            "*" => Some(&checks.route),
            "/" if checks.of_root && !is_preflight() => Some(&checks.route),
            _ => None,
        }
    }

    fn fallback(&self, request: &Request) -> &Arc<Route> {
        match self.fallbacks.at(request.uri().path()) {
            Ok(found) => choose(found.value, request),
            Err(_) => &self.unmatched,
        }
    }
}

fn table(paths: Vec<(String, Vec<Target>)>) -> matchit::Router<Vec<Target>> {
    let mut table = matchit::Router::new();
    for (path, targets) in paths {
        table.insert(&path, targets).unwrap_or_else(|error| panic!("invalid route {path:?}: {error}"));
    }
    table
}

/// The target with the request's method, else the one with unknown methods, else the first: all of them can list
/// the methods of the path.
fn choose<'a>(targets: &'a [Target], request: &Request) -> &'a Arc<Route> {
    let target = match targets {
        [only] => only,
        many => {
            let method = cors::intended_method(request);
            let method = if method == Method::HEAD { Method::GET } else { method };
            let told = many.iter().find(|target| target.methods.contains(&method));
            told.or_else(|| many.iter().find(|target| target.methods.is_empty())).unwrap_or(&many[0])
        }
    };
    &target.route
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::middleware::route::{Kind, RouteMetrics};

    #[test]
    fn routes_that_share_a_path_have_their_own_methods() {
        let metrics = RouteMetrics::new(&Registry::new());
        let target = |name, methods: &[Method]| Target {
            methods: methods.to_vec(),
            route: Arc::new(Route::new(name, Kind::Io, None, axum::Router::new().into(), &metrics)),
        };
        let chosen = |targets: &[Target], method| {
            let request = http::Request::builder().method(method).body(axum::body::Body::empty()).expect("a request");
            choose(targets, &request).template.to_string()
        };
        let told = [target("get", &[Method::GET]), target("post", &[Method::POST, Method::PUT])];
        for (method, expected) in
            [(Method::GET, "get"), (Method::HEAD, "get"), (Method::PUT, "post"), (Method::DELETE, "get")]
        {
            assert_eq!(chosen(&told, method), expected);
        }
        let untold = [target("post", &[Method::POST]), target("any", &[])];
        assert_eq!((chosen(&untold, Method::POST), chosen(&untold, Method::GET)), ("post".into(), "any".into()));
    }

    /// As where a router of axum's is merged that has it, too.
    #[test]
    #[should_panic(expected = "invalid route \"/users/{name}\"")]
    fn a_path_that_two_routes_have_is_named() {
        table(["/users/{id}", "/users/{name}"].map(|path| (path.to_owned(), Vec::new())).into());
    }
}
