//! Marks: what a route or a group of routes has of its own, such as a pool or a limit.
//!
//! Next: [`super::layers`].

use std::time::Duration;

use tower_http::cors::CorsLayer;
use tracing::warn;

use super::{Route, Router};
#[cfg(feature = "identity")]
use crate::openapi::Requirement;
use crate::{
    middleware::route::{Kind, Marks},
    openapi::Scheme,
    values::Size,
};

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Runs the route added last on the work runtime: for handlers that compute for more than about a
    /// millisecond between two awaits, which would block everything else on the I/O runtime.
    ///
    /// # Panics
    /// Before any route was added.
    #[must_use]
    pub fn cpu_bound(mut self) -> Self {
        self.last("cpu_bound").kind = Kind::Work;
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
        self.last("pool").pool = Some(name.to_owned());
        self
    }

    /// The largest request body of the routes added so far and of the fallback, instead of `server.max_body`; a route's
    /// own, by [`Methods::max_body`](crate::openapi::Methods::max_body) or an earlier call, stays.
    #[must_use]
    pub fn max_body(self, limit: Size) -> Self {
        self.mark(&Marks { max_body: Some(limit), ..Marks::default() })
    }

    /// The time until the response's head of the routes added so far and of the fallback, instead of
    /// `server.request_timeout`; a route's own, by [`Methods::request_timeout`](crate::openapi::Methods::request_timeout) or an earlier call, stays.
    ///
    /// # Panics
    /// On a time of zero.
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.mark(&Marks::default().with_request_timeout(timeout))
    }

    /// Lets pages of other origins call the routes added so far and the fallback, see [`Methods::cors`](crate::openapi::Methods::cors); a route's own,
    /// by that or an earlier call, stays.
    ///
    /// # Panics
    /// The start panics on rules that browsers refuse, such as any origin with credentials.
    #[must_use]
    pub fn cors(self, layer: impl Into<Option<CorsLayer>>) -> Self {
        self.mark(&Marks::default().with_cors(layer.into()))
    }

    /// Says that all routes so far need `scheme`, `name` in the description, with the problems 401 and 403. It checks
    /// nothing: put it beside the layer that does.
    #[must_use]
    pub fn secured(mut self, name: &'static str, scheme: Scheme) -> Self {
        let described = self.routes.iter_mut().flat_map(|route| &mut route.described);
        described.for_each(|described| described.secure(name, scheme));
        self
    }

    /// The same for one of several schemes, which a guard checks.
    #[cfg(feature = "identity")]
    pub(crate) fn secured_by_any(mut self, group: &[Requirement]) -> Self {
        let described = self.routes.iter_mut().flat_map(|route| &mut route.described);
        described.for_each(|described| described.guard(group));
        self
    }

    /// Logs which routes give a request more time than a drain does.
    pub(crate) fn warn_beyond(&self, drain_timeout: Duration) {
        let routes = self.routes.iter().chain(&self.fallback).chain(&self.fallbacks);
        let times = routes.filter_map(|route| Some((route, route.marks.request_timeout?)));
        for (route, _) in times.filter(|(_, timeout)| *timeout > drain_timeout) {
            warn!(route = route.path, "request_timeout exceeds lifecycle.drain_timeout: a drain may cut its requests");
        }
    }

    fn mark(mut self, group: &Marks) -> Self {
        self.routes
            .iter_mut()
            .chain(&mut self.fallback)
            .chain(&mut self.fallbacks)
            .for_each(|route| route.inherit(group));
        self
    }

    fn last(&mut self, mark: &str) -> &mut Route<S> {
        self.routes.last_mut().unwrap_or_else(|| panic!("`{mark}` marks the route before it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        openapi::{Methods, of, post},
        problem::Json,
        telemetry::Identity,
    };

    fn take() -> Methods {
        post(async |_: Json<String>| "taken")
    }

    #[test]
    fn the_nearer_limit_holds() {
        let inner = Router::<()>::new().route("/inner", take()).max_body(Size::kib(2));
        let router = Router::new().route("/own", take().max_body(Size::kib(1))).route("/group", take());
        let router = router.merge(inner).max_body(Size::kib(3)).route("/later", take());
        let limits: Vec<_> =
            router.routes.iter().map(|route| route.marks.max_body.map(|size| size.to_string())).collect();
        assert_eq!(limits, [Some("1KiB".into()), Some("3KiB".into()), Some("2KiB".into()), None]);
    }

    #[test]
    fn the_description_says_the_limit_of_a_body() {
        let router = Router::new().route("/group", take()).route("/gzip", take().decompress()).max_body(Size::mib(20));
        let router = router.route("/usual", take());
        let identity = Identity::default();
        let document =
            of(async || Ok::<_, String>(router.documented("Limits", &identity).into_axum())).expect("a document");
        let described = |path: &str| document["paths"][path]["post"]["requestBody"]["description"].clone();
        assert_eq!((described("/group"), described("/usual")), ("At most 20MiB.".into(), serde_json::Value::Null));
        assert_eq!(described("/gzip"), "At most 20MiB. May be sent with `Content-Encoding: gzip`.");
    }
}
