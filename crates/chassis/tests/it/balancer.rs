//! What replicas tell a real Envoy and a real `HAProxy`: how full they are, and that they are about to go.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::harness::{
    envoy::Envoy,
    eventually, exclusive, free_port,
    http::Connection,
    load::{Load, Mode},
    local,
    proxy::Proxy,
    server::Server,
    shared,
};

/// One after another over one connection; every one is answered.
async fn ask(balancer: SocketAddr, requests: usize) {
    let mut connection = Connection::open(balancer).await.expect("connecting");
    for _ in 0..requests {
        let response = connection.get("/hello").await.expect("an answer");
        assert_eq!(response.status, 200, "{}", response.text());
        if response.closes() {
            connection = Connection::open(balancer).await.expect("connecting");
        }
    }
}

async fn answered(server: &Server) -> f64 {
    server.series("http_server_request_duration_seconds_count", "http_route=\"/hello\"").await
}

/// Asks until there is a report: it needs a second's requests.
async fn report(server: &Server, header: &str) -> String {
    eventually(header, Duration::from_secs(10), async || server.get("/hello").await.header(header).map(str::to_owned))
        .await
}

/// A replica with a pool of 10 places, and one more setting.
async fn start(setting: (&str, &str)) -> Server {
    let settings = [
        setting,
        ("APP__OVERLOAD__ADAPTIVE", "false"),
        ("APP__OVERLOAD__MAX_IN_FLIGHT", "10"),
        ("APP__APP__PERMITS", "10"),
    ];
    Server::start_example("places", &settings).await
}

/// Takes 9 of its 10 places for as long as the connections are open.
async fn fill(server: &Server) -> Vec<Connection> {
    let mut held = Vec::new();
    for _ in 0..9 {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        connection.send(b"GET /query?ms=25000 HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
        held.push(connection);
    }
    server.series_becomes("overload_saturation_ratio", "pool=\"database\"", 0.9).await;
    held
}

async fn gets_less_than_a_fifth(full: &Server, other: &Server, balancer: SocketAddr) {
    eventually("the full replica gets less than a fifth", Duration::from_secs(20), async || {
        let before = [answered(full).await, answered(other).await];
        ask(balancer, 200).await;
        let [full, other] = [answered(full).await - before[0], answered(other).await - before[1]];
        println!("{full} to the full replica, {other} to the other");
        (full < 0.2 * (full + other)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_is_full_gets_fewer_requests_from_a_balancer_that_weighs_by_load() {
    let _turn = exclusive().await;
    for (form, header) in
        [("json", "endpoint-load-metrics"), ("text", "endpoint-load-metrics"), ("bin", "endpoint-load-metrics-bin")]
    {
        let full = start(("APP__SERVER__LOAD_REPORT", form)).await;
        let other = start(("APP__SERVER__LOAD_REPORT", form)).await;
        let _held = fill(&full).await;
        let envoy = Envoy::weighing(&[full.app, other.app]).await;
        report(&full, header).await;
        report(&other, header).await;
        gets_less_than_a_fifth(&full, &other, envoy.address()).await;
    }
}

#[tokio::test]
async fn without_the_settings_nothing_is_told() {
    let _turn = exclusive().await;
    let server = Server::start_example("places", &[("APP__LIFECYCLE__DRAIN_DELAY", "5s")]).await;
    let told = async || {
        let response = server.get("/hello").await;
        let headers: Vec<_> = response.headers.into_iter().map(|(name, _)| name).collect();
        headers.iter().any(|name| name.starts_with("endpoint-load") || name.starts_with("x-envoy"))
    };
    // The gauge is there whatever is told, and a second's requests make it more than nothing.
    eventually("the gauge follows the CPU", Duration::from_secs(10), async || {
        assert!(!told().await);
        (server.metric("replica_utilization_ratio").await > 0.0).then_some(())
    })
    .await;
    server.signal(Signal::SIGTERM);
    server.series_becomes("lifecycle_phase", "phase=\"draining\"", 1.0).await;
    assert!(!told().await);
}

/// Envoy asks for health every 10 s; the drain's delay is 5 s.
#[tokio::test]
async fn a_replica_that_drains_is_out_of_envoys_turn_after_one_response() {
    let _turn = exclusive().await;
    for tells in [true, false] {
        let settings = [
            ("APP__SERVER__IMMEDIATE_HEALTH_CHECK_FAIL", if tells { "true" } else { "false" }),
            ("APP__LIFECYCLE__DRAIN_DELAY", "5s"),
        ];
        let leaving = Server::start_example("places", &settings).await;
        let staying = Server::start_example("places", &settings).await;
        let envoy = Envoy::checking(&[leaving.app, staying.app]).await;
        let both = "Envoy asks both";
        eventually(both, Duration::from_secs(10), async || {
            ask(envoy.address(), 20).await;
            (answered(&leaving).await > 0.0 && answered(&staying).await > 0.0).then_some(())
        })
        .await;
        leaving.signal(Signal::SIGTERM);
        leaving.series_becomes("lifecycle_phase", "phase=\"draining\"", 1.0).await;
        // The first of these tells Envoy.
        ask(envoy.address(), 10).await;
        let before = answered(&leaving).await;
        ask(envoy.address(), 100).await;
        let more = answered(&leaving).await - before;
        println!("told: {tells}; {more} of 100 requests to the replica that drains");
        assert!(if tells { more < 0.5 } else { more > 20.0 }, "{more} of 100, told: {tells}");
    }
}

/// Three replicas, each with one permit of 20 ms, and 48 clients that give no time: how many were answered each second, and
/// how many replicas Envoy ejected.
async fn overrun(status: &str, ejects: bool) -> (f64, u64) {
    let settings = [
        ("APP__OVERLOAD__REFUSAL_STATUS", status),
        ("APP__OVERLOAD__ADAPTIVE", "false"),
        ("APP__OVERLOAD__MAX_IN_FLIGHT", "2"),
        ("APP__OVERLOAD__QUEUE_LENGTH", "2"),
        ("APP__APP__PERMITS", "1"),
    ];
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Server::start_example("places", &settings).await);
    }
    let addresses: Vec<_> = replicas.iter().map(|replica| replica.app).collect();
    let envoy = if ejects { Envoy::ejecting(&addresses).await } else { Envoy::plain(&addresses).await };
    let begun = Instant::now();
    let load = Load::start(envoy.address(), 48, Mode::KeepAlive, "/query?ms=20");
    let done = eventually("400 are answered", Duration::from_mins(1), async || {
        (load.ok() >= 400).then(|| (load.ok(), begun.elapsed().as_secs_f64()))
    })
    .await;
    let outcomes = load.stop().await;
    let ejected =
        if ejects { envoy.statistic("cluster.replica.outlier_detection.ejections_enforced_total").await } else { 0 };
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let rate = done.0 as f64 / done.1;
    println!("{status}, ejects: {ejects}: {outcomes}; {rate:.0} a second, {ejected} ejected");
    assert!(outcomes.non_2xx > 400, "not overrun: {outcomes}");
    (rate, ejected)
}

/// A ratio of two rates of one run: the replicas wait, so that it does not depend on the machine.
#[tokio::test]
async fn a_full_fleet_that_refuses_by_429_keeps_its_goodput_behind_outlier_detection() {
    let _turn = exclusive().await;
    let (undisturbed, _) = overrun("429", false).await;
    let (rate, ejected) = overrun("429", true).await;
    assert_eq!(ejected, 0);
    // 0.75: an ejected replica would leave two thirds. Seen on a busy machine: 0.95.
    assert!(rate >= 0.75 * undisturbed, "{rate} a second, {undisturbed} without");
    let (_, ejected) = overrun("503", true).await;
    assert!(ejected > 0, "Envoy does not eject by 503: then nothing of this is needed");
}

/// What the agent says, to the end.
async fn told(agent: SocketAddr) -> String {
    let mut connection = Connection::open(agent).await.expect("connecting");
    let line = connection.read_line().await.expect("a line");
    connection.ended_within(Duration::from_secs(5)).await.expect("closed after it");
    line
}

#[tokio::test]
async fn haproxy_weighs_replicas_by_their_room_and_leaves_one_that_drains() {
    let _turn = exclusive().await;
    let agents = [local(free_port()), local(free_port())];
    let [first, second] = agents.map(|agent| agent.to_string());
    let full = start(("APP__AGENT__LISTEN", &first)).await;
    let other = start(("APP__AGENT__LISTEN", &second)).await;
    let held = fill(&full).await;
    let proxy = Proxy::haproxy_asking(&[(full.app, agents[0]), (other.app, agents[1])]).await;
    gets_less_than_a_fifth(&full, &other, proxy.address).await;
    drop(held);
    eventually("it gets its share again", Duration::from_secs(20), async || {
        let before = [answered(&full).await, answered(&other).await];
        ask(proxy.address, 200).await;
        let [full, other] = [answered(&full).await - before[0], answered(&other).await - before[1]];
        (full > 0.4 * (full + other)).then_some(())
    })
    .await;
    other.signal(Signal::SIGTERM);
    other.series_becomes("lifecycle_phase", "phase=\"draining\"", 1.0).await;
    assert_eq!(told(agents[1]).await.trim_end(), "drain");
    eventually("the one that drains gets none", Duration::from_secs(5), async || {
        let before = answered(&other).await;
        ask(proxy.address, 20).await;
        (answered(&other).await - before < 0.5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_agent_check_says_the_whole_state_and_closes() {
    let _turn = shared().await;
    let agent = local(free_port());
    let settings = [
        ("APP__AGENT__LISTEN", &*agent.to_string()),
        ("APP__ADMIN__MUTABLE", "true"),
        ("APP__LIFECYCLE__DRAIN_DELAY", "5s"),
    ];
    let server = Server::start_example("places", &settings).await;
    assert!(told(agent).await.starts_with("ready up "));
    let plan = r#"{"unready_for": "1h"}"#;
    let mut admin = Connection::open(server.admin).await.expect("connecting");
    let request =
        format!("PUT /faults HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{plan}", server.admin, plan.len());
    admin.send(request.as_bytes()).await.expect("sending");
    assert_eq!(admin.receive().await.expect("an answer").status, 200);
    assert_eq!(told(agent).await.trim_end(), "down");
    // A text of the balancer's own, which is not looked at.
    let mut connection = Connection::open(agent).await.expect("connecting");
    connection.send(b"replica-0\n").await.expect("sending");
    assert_eq!(connection.read_line().await.expect("a line").trim_end(), "down");
    server.signal(Signal::SIGTERM);
    server.series_becomes("lifecycle_phase", "phase=\"draining\"", 1.0).await;
    assert_eq!(told(agent).await.trim_end(), "drain");
}
