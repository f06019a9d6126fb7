//! Layers of tower's around a group of routes, as axum's router has them.
//!
//! They are inside the middleware: a request that it refuses reaches no layer.
//!
//! Next: [`super::mounted`].

use std::convert::Infallible;

use axum::{
    extract::Request,
    response::IntoResponse,
    routing::{MethodRouter, Route as AxumRoute, any},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{Route, Router, build::not_found, mounted::Mounted};
use crate::{middleware::route::Kind, openapi::Methods};

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Wraps the routes added so far in a layer, and what answers in their place: other methods (405), and unmatched paths.
    ///
    /// As in axum, the layer is around the 404s of a whole service once this router is merged into one that has no fallback
    /// and no layers around its own; below a prefix, where it is nested, the 404s are those of the outer router. A request
    /// for an unmatched path needs no admission and is never shed: for a layer that does work, such as one that looks up a
    /// key, take [`route_layer`](Self::route_layer), or give the router a fallback.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<AxumRoute> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        let wrap = |route: Route<S>| {
            let mounted = |mounted: Mounted| mounted.map(|router| router.layer(layer.clone()));
            route.map(|methods| methods.layered(|all| all.layer(layer.clone())), mounted).layered()
        };
        let unmatched = || Route::new("", Kind::Unmatched, Methods::from(any(not_found)));
        self.fallback = Some(wrap(self.fallback.unwrap_or_else(unmatched)));
        self.routes = self.routes.into_iter().map(wrap).collect();
        self.fallbacks = self.fallbacks.into_iter().map(wrap).collect();
        self
    }

    /// Wraps the routes added so far in a layer, and nothing else: another method stays a 405, and an unmatched path a
    /// 404, which is what a layer that asks for credentials wants. Routes of axum's own method routers, services and
    /// mounted routers may answer any method, so all of those go through the layer, as in axum.
    ///
    /// # Panics
    /// If there are no routes: it would do nothing.
    #[must_use]
    pub fn route_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<AxumRoute> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        assert!(!self.routes.is_empty(), "`route_layer` wraps the routes before it, and there are none");
        let wrap = |route: Route<S>| {
            let mounted = |mounted: Mounted| mounted.map(|router| router.route_layer(layer.clone()));
            let answers_others = route.answers_others;
            let inside = |all: MethodRouter<S>| {
                if answers_others { all.layer(layer.clone()) } else { all.route_layer(layer.clone()) }
            };
            route.map(|methods| methods.layered(inside), mounted).layered()
        };
        self.routes = self.routes.into_iter().map(wrap).collect();
        self
    }
}

impl<S> Route<S> {
    /// A layer may read what no handler asks for.
    fn layered(mut self) -> Self {
        self.marks.connect_info = true;
        self
    }
}
