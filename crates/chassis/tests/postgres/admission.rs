//! A wait for a connection is latency of its route, and of no other.

use chassis::testing::Load;

use crate::{
    server::Postgres,
    service::{database, start},
};

#[tokio::test]
async fn a_short_pool_lowers_the_limit_of_the_routes_that_use_it() {
    let postgres = Postgres::shared();
    let settings = [
        ("APP__APP__DATABASE__MAX_CONNECTIONS", "2"),
        // The wait shows as latency, not as an error.
        ("APP__APP__DATABASE__ACQUIRE_TIMEOUT", "20s"),
    ];
    let service = start(&database(&postgres).await, &settings).await;
    let limit = || service.metric("overload_limit", &[("pool", "io")]).expect("a limit");
    let beginning = limit();
    let slow = Load::start(service.app(), "/sleep?ms=20", 64);
    let other = Load::start(service.app(), "/hello", 1);
    service.wait_for_metric("overload_limit", &[("pool", "io")], move |limit| limit < beginning / 2.0).await;
    service.wait_for_metric("overload_shed_total", &[("pool", "io")], |shed| shed > 10.0).await;
    other.answers(100);
    println!("the limit fell from {beginning} to {}", limit());
    service.drain();
    assert_eq!(service.exit_code().await, 0, "{}", service.log());
    let (slow, other) = (slow.tally(), other.tally());
    println!("the slow route: {slow:?}; the other: {other:?}");
    assert!(slow.failed > 10 && slow.answered > 0, "{slow:?}");
    assert_eq!((other.failed, other.lost), (0, 0), "{other:?}");
}
