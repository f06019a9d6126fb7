//! Stub; the lead's replaces it.

use std::convert::Infallible;

use axum::routing::MethodRouter;

/// Routes, each with its runtime.
#[derive(Clone, Debug)]
pub struct Router<S = ()> {
    inner: axum::Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// No routes.
    #[must_use]
    pub fn new() -> Self {
        Self { inner: axum::Router::new() }
    }

    /// Adds a route.
    #[must_use]
    pub fn route(self, path: &str, methods: MethodRouter<S, Infallible>) -> Self {
        Self { inner: self.inner.route(path, methods) }
    }

    /// Marks the route just added for the work runtime.
    #[must_use]
    pub fn cpu_bound(self) -> Self {
        self
    }

    /// Takes the routes of another.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { inner: self.inner.merge(other.inner) }
    }

    /// Gives the handlers their state.
    #[must_use]
    pub fn with_state<T>(self, state: S) -> Router<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        Router { inner: self.inner.with_state(state) }
    }

    /// As an axum router.
    pub fn into_axum(self) -> axum::Router<S> {
        self.inner
    }
}
