use nix::sys::signal::Signal;
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_prost::ProstCodec;

use crate::harness::Recipe;

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

async fn greet(channel: &Channel, name: &str) -> Result<String, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("a ready channel");
    let path = PathAndQuery::from_static("/recipes.Greeter/Greet");
    let codec = ProstCodec::<Name, Greeting>::default();
    client.unary(Request::new(Name { name: name.into() }), path, codec).await.map(|answer| answer.into_inner().text)
}

#[tokio::test]
async fn grpc_and_http_share_a_port_and_a_drain_ends_the_watches() {
    let mut recipe = Recipe::start("grpc", &[]).await;
    let channel =
        Channel::from_shared(format!("http://{}", recipe.app)).expect("a URL").connect().await.expect("a channel");

    assert_eq!(greet(&channel, "Ada").await.expect("a greeting"), "Hello, Ada");
    let refused = greet(&channel, "").await.expect_err("an empty name");
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "name: must be set"));
    assert_eq!(recipe.get("/hello").send().await.expect("an answer").text().await.expect("a text"), "hello\n");

    let mut health = HealthClient::new(channel);
    let whole = HealthCheckRequest { service: String::new() };
    let status = health.check(whole.clone()).await.expect("a status").into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    let mut watch = health.watch(whole).await.expect("a watch").into_inner();
    let next = async |watch: &mut tonic::Streaming<_>| {
        let update: Option<tonic_health::pb::HealthCheckResponse> = watch.message().await.expect("no reset");
        update.map(|update| update.status())
    };
    assert_eq!(next(&mut watch).await, Some(ServingStatus::Serving));

    recipe.signal(Signal::SIGTERM);
    assert_eq!(next(&mut watch).await, Some(ServingStatus::NotServing));
    assert_eq!(next(&mut watch).await, None, "the watch ends, and holds up nothing");
    assert_eq!(recipe.ended().await, Some(0));
}
