//! Uploads that do not come: heads that announce a body, and none of it.

use std::time::Duration;

use crate::{
    beside::{Healthy, Memory, held, size},
    harness::{exclusive, server::Server},
};

const HEAD: &[u8] =
    b"POST /v1/quotes HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";

const SHORT: [(&str, &str); 2] = [("APP__SERVER__BODY_TIMEOUT", "4s"), ("APP__SERVER__REQUEST_TIMEOUT", "5s")];

#[tokio::test]
async fn heads_without_bodies_take_nothing_from_others() {
    let _turn = exclusive().await;
    let server = Server::start(&SHORT).await;
    let healthy = Healthy::start(server.app);
    healthy.answered(500).await;
    let memory = Memory::of(&server);
    let mut holders = held(server.app, size(100, 1000), HEAD).await;
    healthy.answered(1000).await;
    for holder in &mut holders {
        assert_eq!(holder.receive().await.map(|answer| answer.status), Ok(408));
        assert!(holder.ended_within(Duration::from_secs(3)).await.is_some(), "still open after its 408");
    }
    memory.holds(&server, "heads without bodies");
    healthy.none_failed("heads without bodies").await;
}
