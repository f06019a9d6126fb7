//! gRPC and HTTP on one port: tonic services are routes like others, with the same limits, metrics and drain.
//!
//! `grpc.health.v1.Health` reports `SERVING` until the drain, then `NOT_SERVING`; watchers are notified, and the watch
//! ends, so that no stream delays the drain. The messages of `recipes.Greeter` are handwritten; a service would
//! generate them from its `.proto` with tonic-prost-build; the rest is the same.
//!
//! `cargo run -p recipes --example grpc`

use std::{convert::Infallible, future::Ready, process::ExitCode};

use axum::{
    body::Body,
    routing::{any_service, get, post},
};
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    lifecycle::Drain,
    router::Router,
};
use http::{Request, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::{Status, server::Grpc};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_prost::ProstCodec;

/// Settings `app.*`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}

/// `message Name { string name = 1; }`
#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

/// `message Greeting { string text = 1; }`
#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |_: &Settings, chassis: &Chassis| Ok::<_, Infallible>(router(chassis)))
}

fn router(chassis: &Chassis) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(tell(reporter, chassis.drain.clone()));
    Router::new()
        .route("/hello", get(async || "hello\n"))
        .route("/recipes.Greeter/Greet", post(greet))
        .route("/grpc.health.v1.Health/{method}", any_service(health))
}

/// An error of the handler is a gRPC status; what the chassis refuses (413, 503, 504) is a status of HTTP, which clients
/// map to theirs.
async fn greet(request: Request<Body>) -> Response<tonic::body::Body> {
    let greeter = |request: tonic::Request<Name>| -> Ready<Result<tonic::Response<Greeting>, Status>> {
        let name = request.into_inner().name;
        std::future::ready(if name.is_empty() {
            Err(Status::invalid_argument("name: must be set"))
        } else {
            Ok(tonic::Response::new(Greeting { text: format!("Hello, {name}") }))
        })
    };
    Grpc::new(ProstCodec::<Greeting, Name>::default()).unary(Unary(greeter), request).await
}

/// A function as tonic's unary service.
struct Unary<F>(F);

impl<F, A, B, R> tonic::server::UnaryService<A> for Unary<F>
where
    F: FnMut(tonic::Request<A>) -> R,
    R: Future<Output = Result<tonic::Response<B>, Status>>,
{
    type Response = B;
    type Future = R;

    fn call(&mut self, request: tonic::Request<A>) -> R {
        (self.0)(request)
    }
}

/// Ends every watch with `NOT_SERVING`: clearing a status ends its streams, and it is set again for later requests.
async fn tell(mut reporter: HealthReporter, drain: Drain) {
    drain.started().await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
    reporter.clear_service_status("").await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
}
