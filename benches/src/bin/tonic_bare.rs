//! tonic's server with one unary call, that of the recipe `grpc`, and no layer.

use std::{
    convert::Infallible,
    future::Ready,
    pin::Pin,
    task::{Context, Poll},
};

use prost::Message;
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
    server::{Grpc, NamedService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

struct Greet;

impl UnaryService<Name> for Greet {
    type Response = Greeting;
    type Future = Ready<Result<tonic::Response<Greeting>, Status>>;

    fn call(&mut self, request: tonic::Request<Name>) -> Self::Future {
        let name = request.into_inner().name;
        std::future::ready(Ok(tonic::Response::new(Greeting { text: format!("Hello, {name}") })))
    }
}

/// What tonic-build writes of a service.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "recipes.Greeter";
}

impl tower::Service<Request<Body>> for Greeter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async { Ok(Grpc::new(ProstCodec::<Greeting, Name>::default()).unary(Greet, request).await) })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let serve = Server::builder().add_service(Greeter).serve(bench::address());
    Ok(bench::runtime()?.block_on(async { tokio::spawn(serve).await })??)
}
