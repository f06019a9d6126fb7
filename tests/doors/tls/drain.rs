//! A drain over TLS, with clients that are busy on connections that they keep, and never retry.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{
    Secure,
    tunnel::{Tunnel, client},
};
use crate::harness::{
    eventually, exclusive,
    load::{Load, Mode},
};

#[tokio::test]
async fn a_drain_over_tls_loses_nothing() {
    let _turn = exclusive().await;
    let mut all = 0;
    for _ in 0..3 {
        let mut secure = Secure::start(&[("APP__LIFECYCLE__DRAIN_DELAY", "1s")]).await;
        let tunnel = Tunnel::to(secure.address, client(&secure.authority.certificate(), None)).await;
        let loads = [
            Load::start(tunnel.address, 8, Mode::KeepAlive, "/hello/"),
            Load::start(tunnel.address, 16, Mode::ThinkTime(Duration::from_millis(20)), "/hello/"),
        ];
        for load in &loads {
            eventually("load", Duration::from_secs(20), async || (load.ok() > 200).then_some(())).await;
        }
        secure.server.signal(Signal::SIGTERM);
        // A balancer reacts late, and opens no connections then.
        tokio::time::sleep(Duration::from_millis(500)).await;
        loads.iter().for_each(Load::take_out);
        assert_eq!(secure.server.wait_exit(Duration::from_secs(20)).await, 0, "{}", secure.server.log());
        for load in loads {
            let outcomes = load.stop().await;
            all += outcomes.ok;
            assert_eq!(outcomes.failed(), 0, "{outcomes}");
        }
    }
    println!("3 drains: {all} requests, 0 failed");
}
