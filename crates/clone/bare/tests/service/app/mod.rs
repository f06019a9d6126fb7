//! The app's routes, asked as a client does, but without a socket.

use axum::{body::Body, extract::Request, response::Response};
use tower::ServiceExt;

use service::app::router;

use super::{chassis, settings};

async fn fetch(path: &str) -> Response {
    let app = router(&settings().app, &chassis()).await.unwrap().into_axum();
    app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_description_is_a_route() {
    assert_eq!(fetch("/openapi.json").await.status(), 200);
}
