//! A handler asked once, beside its description.

use axum::{body::Body, extract::Request, http::header};
use chassis::{openapi::Methods, router::Router, telemetry::Identity};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// What a shape does, and what the description says of it.
pub(super) struct Shape {
    status: u16,
    operation: Value,
}

impl Shape {
    /// Asks `methods` at `path`, which is `request`'s without its query unless it has parameters.
    pub(super) async fn of(path: &str, methods: Methods, request: Request) -> Self {
        let identity = Identity::default();
        let app = Router::new().route(path, methods).documented("Shapes", &identity).into_axum();
        let Ok(answer) = app.clone().oneshot(request).await;
        let document = Request::get("/openapi.json").body(Body::empty()).expect("a request");
        let Ok(document) = app.oneshot(document).await;
        let document = document.into_body().collect().await.expect("the description").to_bytes();
        let mut document: Value = serde_json::from_slice(&document).expect("the description in JSON");
        let item = document["paths"][path].take();
        let operation = item.as_object().and_then(|item| item.values().next()).expect("an operation").clone();
        Self { status: answer.status().as_u16(), operation }
    }

    pub(super) async fn get(methods: Methods) -> Self {
        Self::of("/shape", methods, Request::get("/shape?size=1").body(Body::empty()).expect("a request")).await
    }

    pub(super) async fn post(content_type: &str, body: &'static str, methods: Methods) -> Self {
        let request = Request::post("/shape").header(header::CONTENT_TYPE, content_type);
        Self::of("/shape", methods, request.body(Body::from(body)).expect("a request")).await
    }

    pub(super) fn answers(&self, status: u16) -> &Self {
        assert_eq!(self.status, status);
        self
    }

    /// What the description says at `pointer`.
    pub(super) fn says(&self, pointer: &str, expected: impl Into<Value>) -> &Self {
        assert_eq!(self.at(pointer), expected.into(), "{pointer} in {:#}", self.operation);
        self
    }

    fn at(&self, pointer: &str) -> Value {
        self.operation.pointer(pointer).cloned().unwrap_or_default()
    }

    /// The statuses of the description that the middleware adds to none.
    pub(super) fn statuses(&self, expected: &[&str]) -> &Self {
        let everywhere = ["408", "413", "414", "431", "500", "503", "504"];
        let responses = self.operation["responses"].as_object().expect("responses");
        let own: Vec<_> = responses.keys().map(String::as_str).filter(|key| !everywhere.contains(key)).collect();
        assert_eq!(own, expected);
        self
    }

    /// The names of the described parameters; the request id is one of each operation.
    pub(super) fn parameters(&self, expected: &[&str]) -> &Self {
        let parameters = self.operation["parameters"].as_array().expect("parameters");
        let names: Vec<_> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert_eq!(names, expected);
        self
    }
}
