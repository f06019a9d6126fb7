//! CORS of a route, around its whole middleware: a refusal by the middleware carries the headers, too.
//!
//! Without them a browser hides the response from the page: a 413, 503 or 504 would look like a broken network. Routes
//! without CORS pay nothing for it. The answers that never reach a route carry none: a 404 of an unmatched path, and what
//! the connection answers itself.
//!
//! Next: [`super::request_future`].

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use axum::{body::Body, extract::Request};
use http::{HeaderValue, Method, header};
use tower::{ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;
use tower_layer::Layer as _;

use super::{
    Stack, id,
    request_future::{RequestFuture, discard},
    route::Route,
    routes::Answer,
};

/// A route's layer, and the route that answers its preflights.
#[derive(Debug)]
pub(super) struct Cors {
    layer: CorsLayer,
    preflight: Arc<Route>,
}

impl Cors {
    /// # Panics
    /// On rules that a browser refuses, such as any origin with credentials.
    pub(super) fn new(layer: &CorsLayer, preflight: Route) -> Self {
        Self { layer: layer.clone(), preflight: Arc::new(preflight) }
    }

    /// Answers a request to `route`.
    pub(super) fn call(&self, stack: Arc<Stack>, route: &Arc<Route>, request: Request) -> Answer {
        if *request.method() == Method::OPTIONS {
            // Without the layer around it: the route has it inside.
            let preflight = Arc::clone(&self.preflight);
            return Box::pin(begin(stack, preflight, request));
        }
        let spare = spare(&request);
        let failed = (Arc::clone(&stack), Arc::clone(route), request.extensions().get().cloned());
        let route = Arc::clone(route);
        let inside = service_fn(move |request| {
            let answer = begin(Arc::clone(&stack), Arc::clone(&route), request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let outside = self.layer.layer(inside);
        Box::pin(async {
            if let Some(answer) = caught(outside.oneshot(request)).await {
                return answer.unwrap_or_else(|never| match never {});
            }
            // A rule of the app's own has panicked: its request is counted and answered as where a handler does.
            let (stack, route, connection) = failed;
            RequestFuture::failed(stack, route, spare, connection).await
        })
    }
}

/// What is known of a request whose rules have panicked: they have taken it.
fn spare(request: &Request) -> Request {
    let mut spare = Request::new(Body::empty());
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.version_mut() = request.version();
    if let Some(id) = request.headers().get(id::HEADER) {
        spare.headers_mut().insert(id::HEADER, id.clone());
    }
    spare
}

/// None if it panics, also while it begins.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(panic) => {
            discard(panic);
            Poll::Ready(None)
        }
    })
    .await
}

/// Its connection is an extension of the request, which passes through the layer.
fn begin(stack: Arc<Stack>, route: Arc<Route>, request: Request) -> RequestFuture {
    let connection = request.extensions().get().cloned();
    RequestFuture::new(stack, route, request, connection)
}

/// The method of a request; of a preflight, the method that it asks for.
pub(super) fn intended_method(request: &Request) -> Method {
    let asked = || {
        let value = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes);
        value.and_then(|value| Method::from_bytes(value).ok())
    };
    let is_options = *request.method() == Method::OPTIONS;
    is_options.then(asked).flatten().unwrap_or_else(|| request.method().clone())
}
