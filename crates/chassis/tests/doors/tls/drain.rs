//! A drain over TLS, with clients that are busy on connections that they keep, and never retry.

use std::time::Duration;

use nix::sys::signal::Signal;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Secure,
    tunnel::{Tunnel, client, connect},
};
use crate::harness::{
    eventually, exclusive,
    load::{Load, Mode},
    shared,
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

#[tokio::test]
async fn a_reader_that_never_reads_is_cut_and_a_slow_one_gets_all_over_a_drain() {
    let _turn = shared().await;
    let stalled = ("APP__SERVER__WRITE_TIMEOUT", "1s");
    let mut secure = Secure::start(&[stalled, ("APP__LIFECYCLE__DRAIN_TIMEOUT", "15s")]).await;
    let config = client(&secure.authority.certificate(), None);
    let ask = async |bytes: usize| {
        let mut stream = connect(secure.address, &config).await.expect("a handshake");
        let request = format!("GET /download?bytes={bytes}&length=true HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sending");
        stream
    };
    let _never = ask(64 * 1024 * 1024).await;
    secure.closed("write_timeout", 1.0).await;
    // More than sockets hold, less than it reads in the time that a drain has.
    let mut slow = ask(16 * 1024 * 1024).await;
    let (mut part, mut all) = (vec![0; 256 * 1024], 0);
    all += slow.read(&mut part).await.expect("the beginning");
    secure.server.signal(Signal::SIGINT);
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        match slow.read(&mut part).await.expect("an end that is told") {
            0 => break,
            more => all += more,
        }
    }
    assert!(all > 16 * 1024 * 1024, "{all} bytes");
    assert_eq!(secure.server.wait_exit(Duration::from_secs(20)).await, 0, "{}", secure.server.log());
}
