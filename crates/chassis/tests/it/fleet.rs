//! Three replicas behind a real proxy, restarted one after another under full load: no request is lost.
//!
//! `FLEET_ROUNDS` is how often each replica is restarted: 5, or 20 with `make test-full`.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    at, eventually, exclusive, free_port, http,
    load::{Load, Mode},
    local, number,
    proxy::Proxy,
    server::Server,
};

/// 10,000 requests for each round: 200,000 over the full 20.
const REQUESTS_A_ROUND: u64 = 10_000;

#[tokio::test]
async fn restarts_behind_nginx_lose_nothing_of_keep_alive_clients() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start(Switch::Mark).await;
    let proxy = Proxy::nginx(&fleet.addresses()).await;
    fleet.hold(&proxy, Mode::KeepAlive).await;
}

#[tokio::test]
async fn restarts_behind_nginx_lose_nothing_of_clients_with_new_connections() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start(Switch::Reload).await;
    let proxy = Proxy::nginx(&fleet.addresses()).await;
    fleet.hold(&proxy, Mode::NewConnection).await;
}

#[tokio::test]
async fn restarts_behind_haproxy_lose_nothing_of_keep_alive_clients() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start(Switch::Checks).await;
    let proxy = Proxy::haproxy(&fleet.addresses()).await;
    fleet.hold(&proxy, Mode::KeepAlive).await;
}

#[tokio::test]
async fn restarts_behind_haproxy_lose_nothing_of_clients_with_new_connections() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start(Switch::Checks).await;
    let proxy = Proxy::haproxy(&fleet.addresses()).await;
    fleet.hold(&proxy, Mode::NewConnection).await;
}

/// An existing axum app, mounted below a prefix.
#[tokio::test]
async fn restarts_behind_haproxy_lose_nothing_of_an_existing_axum_app() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start_of("ordinary", Switch::Checks).await;
    let proxy = Proxy::haproxy(&fleet.addresses()).await;
    fleet.hold_at(&proxy, Mode::KeepAlive, "/app/users/me").await;
}

/// How the proxy learns that a replica goes, and is back.
#[derive(Clone, Copy)]
enum Switch {
    /// A file that nginx looks for.
    Mark,
    /// A new upstream list and a reload.
    Reload,
    /// Its own health checks.
    Checks,
}

impl Switch {
    /// The replica's `lifecycle.drain_delay`. A reload is a new process, which takes its time on a busy machine.
    const fn delay(self) -> Duration {
        Duration::from_secs(if matches!(self, Self::Reload) { 2 } else { 1 })
    }
}

/// Three replicas, each with ports that it keeps over restarts.
struct Fleet {
    program: &'static str,
    replicas: Vec<Replica>,
    switch: Switch,
}

struct Replica {
    name: String,
    listen: String,
    admin: String,
    server: Server,
}

impl Fleet {
    async fn start(switch: Switch) -> Self {
        Self::start_of("sample", switch).await
    }

    async fn start_of(program: &'static str, switch: Switch) -> Self {
        let mut replicas = Vec::new();
        for number in 0..3 {
            let name = format!("replica-{number}");
            let (listen, admin) = (format!("http://{}", local(free_port())), local(free_port()).to_string());
            let server = start(program, &name, &listen, &admin, switch).await;
            replicas.push(Replica { name, listen, admin, server });
        }
        Self { program, replicas, switch }
    }

    fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.replicas.iter().map(|replica| replica.server.app).collect()
    }

    /// Restarts every replica in turn, round by round, under 32 clients, and asserts that no request was lost.
    async fn hold(&mut self, proxy: &Proxy, mode: Mode) {
        self.hold_at(proxy, mode, "/whoami").await;
    }

    async fn hold_at(&mut self, proxy: &Proxy, mode: Mode, path: &str) {
        for replica in &self.replicas {
            replica.answers_through(proxy).await;
        }
        let rounds = number("FLEET_ROUNDS", 5);
        let load = Load::start(proxy.address, 32, mode, path);
        for _ in 0..rounds {
            for index in 0..self.replicas.len() {
                self.restart(index, proxy).await;
            }
        }
        let enough = async || (load.ok() >= rounds * REQUESTS_A_ROUND).then_some(());
        eventually("the number of requests", Duration::from_mins(10), enough).await;
        let outcomes = load.stop().await;
        println!("{rounds} rounds of 3 restarts, {mode:?}: {outcomes}");
        assert_eq!(outcomes.failed(), 0, "{outcomes}");
    }

    /// SIGTERM first; the proxy reacts late, by 60 % of the delay where it is told, or by its checks.
    async fn restart(&mut self, index: usize, proxy: &Proxy) {
        let (addresses, switch) = (self.addresses(), self.switch);
        let mut others = addresses.clone();
        others.remove(index);
        let signalled = Instant::now();
        let replica = &mut self.replicas[index];
        replica.server.signal(Signal::SIGTERM);
        at(signalled + switch.delay() * 3 / 5).await;
        match switch {
            Switch::Mark => proxy.take_out(index),
            Switch::Reload => proxy.reload_nginx(&others),
            Switch::Checks => {}
        }
        assert_eq!(replica.server.wait_exit(Duration::from_secs(10)).await, 0, "{}", replica.server.log());
        replica.server = start(self.program, &replica.name, &replica.listen, &replica.admin, switch).await;
        match switch {
            Switch::Mark => proxy.put_back(index),
            Switch::Reload => proxy.reload_nginx(&addresses),
            Switch::Checks => {}
        }
        replica.answers_through(proxy).await;
    }
}

impl Replica {
    async fn answers_through(&self, proxy: &Proxy) {
        let what = format!("{} answers through the proxy", self.name);
        let asked = async || {
            let response = http::get(proxy.address, "/whoami").await.ok()?;
            let answer: Value = serde_json::from_slice(&response.body).ok()?;
            (answer["replica"] == self.name.as_str()).then_some(())
        };
        eventually(&what, Duration::from_secs(10), asked).await;
    }
}

async fn start(program: &str, name: &str, listen: &str, admin: &str, switch: Switch) -> Server {
    let delay = format!("{}s", switch.delay().as_secs());
    let settings = [
        ("APP__SERVER__LISTEN", listen),
        ("APP__ADMIN__LISTEN", admin),
        ("APP__LIFECYCLE__DRAIN_DELAY", &delay),
        ("POD_NAME", name),
    ];
    Server::start_example(program, &settings).await
}
