//! A guard around routes, and in their description, in one call.
//!
//! Next: [`super::bearer`].

use axum::middleware::from_fn_with_state;

use super::{Guard, guard::enforce};
use crate::{openapi::Methods, router::Router};

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Admits to the routes added so far only requests that `guard` admits, and says so in the description: the scheme, its
    /// scopes, and the problems 400, 401 and 403. As with [`route_layer`](Self::route_layer), a method that a route lacks stays a
    /// 405. A second guard is asked as well, and before the first.
    ///
    /// # Panics
    /// If there are no routes: it would guard nothing.
    #[must_use]
    pub fn protected(self, guard: Guard) -> Self {
        let requirements = guard.requirements();
        self.route_layer(from_fn_with_state(guard, enforce)).secured_by_any(&requirements)
    }
}

impl<S: Clone + Send + Sync + 'static> Methods<S> {
    /// The same for the methods so far of one route.
    pub fn protected(self, guard: Guard) -> Self {
        let requirements = guard.requirements();
        self.route_layer(from_fn_with_state(guard, enforce)).secured_by_any(&requirements)
    }
}
