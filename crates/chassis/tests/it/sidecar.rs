//! Pods with an Envoy sidecar behind a balancer, restarted one after another under load: no request is lost.
//!
//! A kubelet ends a pod in one of two orders: a native sidecar (an init container that restarts) after the service has
//! ended; one that is a container like any other at the same time, when its agent drains it and waits.

use std::{net::SocketAddr, time::Duration};

use nix::sys::signal::Signal;

use crate::harness::{
    envoy::Envoy,
    eventually, exclusive, free_port, http,
    load::{Load, Mode},
    local, number,
    proxy::Proxy,
    server::Server,
};

#[tokio::test]
async fn a_pod_whose_sidecar_ends_after_it_loses_nothing() {
    let _turn = exclusive().await;
    hold(Order::AfterTheService, Mode::KeepAlive).await;
}

#[tokio::test]
async fn a_pod_whose_sidecar_drains_beside_it_loses_nothing() {
    let _turn = exclusive().await;
    hold(Order::BesideTheService, Mode::NewConnection).await;
}

/// When the sidecar hears that the pod ends.
#[derive(Clone, Copy, Debug)]
enum Order {
    AfterTheService,
    BesideTheService,
}

/// A replica and its sidecar, with ports that they keep over restarts.
struct Pod {
    name: String,
    listen: SocketAddr,
    door: SocketAddr,
    /// None while it restarts.
    running: Option<(Server, Envoy)>,
}

async fn hold(order: Order, mode: Mode) {
    let mut pods = Vec::new();
    for number in 0..3 {
        pods.push(Pod::start(format!("pod-{number}")).await);
    }
    let doors: Vec<_> = pods.iter().map(|pod| pod.door).collect();
    let proxy = Proxy::haproxy(&doors).await;
    for pod in &pods {
        pod.answers_through(&proxy).await;
    }
    let rounds = number("FLEET_ROUNDS", 5).div_ceil(4);
    let load = Load::start(proxy.address, 16, mode, "/whoami");
    for _ in 0..rounds {
        for pod in &mut pods {
            pod.restart(order).await;
            pod.answers_through(&proxy).await;
        }
    }
    let outcomes = load.stop().await;
    println!("{rounds} rounds of 3 pods with a sidecar, {order:?}, {mode:?}: {outcomes}");
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    assert!(outcomes.ok > rounds * 1000, "{outcomes}");
}

impl Pod {
    async fn start(name: String) -> Self {
        let mut pod = Self { name, listen: local(free_port()), door: local(free_port()), running: None };
        pod.begin().await;
        pod
    }

    async fn begin(&mut self) {
        let settings = [
            ("APP__SERVER__LISTEN", &*format!("http://{}", self.listen)),
            ("APP__LIFECYCLE__DRAIN_DELAY", "1s"),
            ("POD_NAME", &self.name),
        ];
        let server = Server::start(&settings).await;
        self.running = Some((server, Envoy::start(self.door, self.listen).await));
    }

    async fn restart(&mut self, order: Order) {
        let (mut server, envoy) = self.running.take().expect("it runs");
        assert_eq!(envoy.address(), self.door);
        server.signal(Signal::SIGTERM);
        if matches!(order, Order::BesideTheService) {
            envoy.drain().await;
        }
        assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
        drop(envoy);
        self.begin().await;
    }

    async fn answers_through(&self, proxy: &Proxy) {
        let what = format!("{} answers through the proxy", self.name);
        let asked = async || {
            let response = http::get(proxy.address, "/whoami").await.ok()?;
            response.text().contains(&self.name).then_some(())
        };
        eventually(&what, Duration::from_secs(10), asked).await;
    }
}
