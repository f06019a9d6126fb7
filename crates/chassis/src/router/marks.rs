//! What a group of routes has of its own instead of the server's: the limit of the body, the time, CORS.
//!
//! A group's mark is for the routes added so far and for the fallback, as a layer of axum's is. A route's own, by
//! [`crate::openapi::Methods`] or by an inner group, stays: the nearer one holds.
//!
//! Next: [`crate::middleware`], which enforces them.

use std::time::Duration;

use tower_http::cors::CorsLayer;
use tracing::warn;

use super::{Route, Router};
use crate::{middleware::route::Marks, values::Size};

impl<S> Router<S> {
    /// The largest request body of the routes added so far and of the fallback, instead of `server.max_body`; a route's
    /// own, by [`Methods::max_body`](crate::openapi::Methods::max_body) or an earlier call, stays.
    #[must_use]
    pub fn max_body(self, limit: Size) -> Self {
        self.mark(&Marks { max_body: Some(limit), ..Marks::default() })
    }

    /// The time until the response's head of the routes added so far and of the fallback, instead of
    /// `server.request_timeout`; a route's own, by [`Methods::request_timeout`](crate::openapi::Methods::request_timeout) or an earlier call, stays.
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.mark(&Marks { request_timeout: Some(timeout), ..Marks::default() })
    }

    /// Lets pages of other origins call the routes added so far and the fallback, see [`Methods::cors`](crate::openapi::Methods::cors); a route's own,
    /// by that or an earlier call, stays.
    ///
    /// # Panics
    /// The start panics on rules that browsers refuse, such as any origin with credentials.
    #[must_use]
    pub fn cors(self, layer: impl Into<Option<CorsLayer>>) -> Self {
        self.mark(&Marks { cors: layer.into(), ..Marks::default() })
    }

    /// Logs which routes give a request more time than a drain does.
    pub(crate) fn warn_beyond(&self, drain_timeout: Duration) {
        let times =
            self.routes.iter().chain(&self.fallback).filter_map(|route| Some((route, route.marks.request_timeout?)));
        for (route, _) in times.filter(|(_, timeout)| *timeout > drain_timeout) {
            warn!(route = route.path, "request_timeout exceeds lifecycle.drain_timeout: a drain may cut its requests");
        }
    }

    fn mark(mut self, group: &Marks) -> Self {
        self.routes.iter_mut().chain(&mut self.fallback).for_each(|route| route.inherit(group));
        self
    }
}

impl<S> Route<S> {
    /// Takes from a group what the route does not have yet.
    pub(super) fn inherit(&mut self, group: &Marks) {
        self.marks.inherit(group);
        self.described.iter_mut().for_each(|described| described.mark(&self.marks));
    }
}
