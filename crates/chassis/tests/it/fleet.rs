//! Three replicas behind a real proxy, restarted one after another under full load: no request is lost.
//!
//! `FLEET_ROUNDS` is how often each replica is restarted: 5, or 20 with `make test-full`.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    at, eventually, exclusive, free_port, http,
    load::{Load, Mode, Outcomes},
    local, number,
    proxy::{Proxy, Retries},
    server::Server,
};

/// 10,000 requests for each round: 200,000 over the full 20.
const REQUESTS_A_ROUND: u64 = 10_000;

const QUOTE: &str = r#"{"from":"DE","to":"FR","weight_g":800,"service":"standard",
    "dimensions_mm":{"length":300,"width":200,"height":100}}"#;

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

/// nginx is told nothing, and asks the next replica where one refuses. By its defaults (`max_fails=1 fail_timeout=10s`) it
/// asks none that has refused for 10 s: three restarts in that time leave nobody to ask, though all of them serve.
#[tokio::test]
async fn restarts_behind_nginx_as_it_comes_are_502_for_everyone() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start(Switch::Nothing).await;
    let proxy = Proxy::nginx_that(Retries::Usual, &fleet.addresses()).await;
    let outcomes = fleet.restart_in_turn(&proxy, || proxy.told("no live upstreams")).await;
    println!("restarts in turn, max_fails=1: {outcomes}");
    assert!(outcomes.non_2xx > 0, "does nginx still take a replica out for one failure? {outcomes}");
}

/// With `max_fails=0` the same nginx loses no POST, and sends none to two replicas.
#[tokio::test]
async fn restarts_behind_nginx_with_max_fails_0_lose_no_post() {
    let _turn = exclusive().await;
    let mut fleet = Fleet::start(Switch::Nothing).await;
    let proxy = Proxy::nginx_that(Retries::Documented, &fleet.addresses()).await;
    let outcomes = fleet.restart_in_turn(&proxy, || true).await;
    println!("restarts in turn, max_fails=0: {outcomes}");
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    // What the replicas had is what the clients sent, or some POST was processed twice.
    let had = async || (fleet.posts() == outcomes.ok).then_some(());
    eventually("the replicas' lines of all POSTs, and no more", Duration::from_secs(10), had).await;
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
    /// It does not, and finds out with each request.
    Nothing,
}

impl Switch {
    /// Whether the replicas log each request: where a test counts them.
    const fn access_log(self) -> &'static str {
        if matches!(self, Self::Nothing) { "true" } else { "false" }
    }

    /// The replica's `lifecycle.drain_delay`. A reload is a new process, which takes its time on a busy machine.
    const fn delay(self) -> Duration {
        Duration::from_secs(if matches!(self, Self::Reload) { 2 } else { 1 })
    }
}

/// Three replicas, each with ports that it keeps over restarts.
struct Fleet {
    program: &'static str,
    replicas: Vec<Replica>,
    /// What ended, with its log.
    ended: Vec<Server>,
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
        Self { program, replicas, ended: Vec::new(), switch }
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
            Switch::Checks | Switch::Nothing => {}
        }
        assert_eq!(replica.server.wait_exit(Duration::from_secs(10)).await, 0, "{}", replica.server.log());
        if matches!(switch, Switch::Nothing) {
            // A SYN that the drain drops is sent again after a second: a start faster than that hides that it was away.
            let meets = async || proxy.was_refused(addresses[index]).then_some(());
            eventually("nginx meets a refusal", Duration::from_secs(20), meets).await;
        }
        let next = start(self.program, &replica.name, &replica.listen, &replica.admin, switch).await;
        self.ended.push(std::mem::replace(&mut replica.server, next));
        match switch {
            Switch::Mark => proxy.put_back(index),
            Switch::Reload => proxy.reload_nginx(&addresses),
            Switch::Checks => {}
            // Where it asks none that has refused, there is no answer to wait for.
            Switch::Nothing => return,
        }
        replica.answers_through(proxy).await;
    }

    /// Restarts each replica once under POSTs of 32 clients, and on until `seen`; what became of them.
    async fn restart_in_turn(&mut self, proxy: &Proxy, seen: impl Fn() -> bool) -> Outcomes {
        for replica in &self.replicas {
            replica.answers_through(proxy).await;
        }
        // A pause, so that the replicas can write a line for each.
        let mode = Mode::ThinkTime(Duration::from_millis(20));
        let load = Load::post(proxy.address, 32, mode, "/v1/quotes", QUOTE);
        for index in 0..self.replicas.len() {
            self.restart(index, proxy).await;
        }
        let enough = async || (seen() && load.ok() >= 1_000).then_some(());
        eventually("what the restarts lead to", Duration::from_secs(20), enough).await;
        load.stop().await
    }

    /// How many POSTs the replicas had, those before the restarts too.
    fn posts(&self) -> u64 {
        let servers = self.replicas.iter().map(|replica| &replica.server).chain(&self.ended);
        let lines = servers.map(|server| server.lines_with(&["\"access\"", "\"POST\""]));
        lines.sum::<usize>().try_into().expect("a number of lines")
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
        ("APP__TELEMETRY__ACCESS_LOG", switch.access_log()),
        ("POD_NAME", name),
    ];
    Server::start_example(program, &settings).await
}
