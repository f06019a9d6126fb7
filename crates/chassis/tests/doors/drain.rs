//! Replicas behind nginx's FastCGI, restarted one after another under load, with connections that are kept and no
//! retries: no request is lost.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    door::{Carrier, Front, Protocol},
    fronts::{self, Fronts},
    harness::{
        Scratch, at, eventually, exclusive, free_port,
        load::{Load, Mode},
        local, number,
        proxy::Proxy,
        server::Server,
    },
};

const DELAY: Duration = Duration::from_secs(1);

#[tokio::test]
async fn restarts_behind_fastcgi_over_tcp_lose_nothing() {
    let _turn = exclusive().await;
    restarts(Carrier::Tcp).await;
}

#[tokio::test]
async fn restarts_behind_fastcgi_over_unix_sockets_lose_nothing() {
    let _turn = exclusive().await;
    restarts(Carrier::Unix).await;
}

#[tokio::test]
async fn connections_that_close_after_a_few_requests_lose_nothing() {
    let _turn = exclusive().await;
    let fronts = Fronts::start(&[("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "3")]).await;
    for (door, address) in fronts.doors().filter(|(door, _)| door.keep && door.protocol == Protocol::Fastcgi) {
        let closed = async || fronts.server.series("http_server_connections_closed_total", "reason=\"requests\"").await;
        let before = closed().await;
        let load = Load::start(address, 16, Mode::KeepAlive, "/hello/");
        let enough = async || (load.ok() >= 3_000).then_some(());
        eventually("3,000 requests", Duration::from_mins(1), enough).await;
        let outcomes = load.stop().await;
        assert_eq!(outcomes.failed(), 0, "{}: {outcomes}", door.name);
        // nginx is told with the response; Apache's connections end when they are quiet.
        let least = if door.front == Front::Nginx { 700.0 } else { 3.0 };
        let enough = async || (closed().await - before >= least).then_some(());
        eventually("connections closed", Duration::from_secs(5), enough).await;
    }
}

fn url(carrier: Carrier, scratch: &Scratch, index: usize) -> String {
    match carrier {
        Carrier::Tcp => format!("fastcgi://{}", local(free_port())),
        Carrier::Unix => format!("fastcgi+unix://{}/{index}.sock", scratch.path().display()),
    }
}

async fn restarts(carrier: Carrier) {
    let scratch = Scratch::new("restarts");
    let mut replicas = Vec::new();
    for index in 0..3 {
        let at = url(carrier, &scratch, index);
        replicas.push((start(&at, &[]).await, at));
    }
    let urls: Vec<String> = replicas.iter().map(|(_, at)| at.clone()).collect();
    let proxy = nginx(&urls).await;
    let rounds = number("DOORS_ROUNDS", 2);
    let load = Load::start(proxy.address, 32, Mode::KeepAlive, "/hello/");
    for _ in 0..rounds {
        for (index, (server, url)) in replicas.iter_mut().enumerate() {
            let signalled = Instant::now();
            server.signal(Signal::SIGTERM);
            // A balancer reacts late: until then, new requests come on kept connections and on new ones.
            at(signalled + DELAY * 3 / 5).await;
            proxy.take_out(index);
            assert_eq!(server.wait_exit(Duration::from_secs(10)).await, 0, "{}", server.log());
            *server = start(url, &[]).await;
            proxy.put_back(index);
        }
    }
    let outcomes = load.stop().await;
    println!("{rounds} rounds of 3 restarts: {outcomes}");
    assert_eq!(outcomes.failed(), 0, "{outcomes}");
    assert!(outcomes.ok > 1000, "{outcomes}");
    for (server, _) in &replicas {
        // The connections were kept: a request each would have opened as many.
        let opened = server.metric("http_server_connections_closed_total").await
            + server.metric("http_server_connections").await;
        let requests = server.metric("http_server_request_duration_seconds_count").await;
        assert!(requests < 100.0 || opened < requests / 2.0, "{opened} connections for {requests} requests");
    }
}

async fn start(at: &str, settings: &[(&str, &str)]) -> Server {
    let listen = format!("http://127.0.0.1:0,{at}");
    let mut all = vec![("APP__SERVER__LISTEN", &*listen), ("APP__LIFECYCLE__DRAIN_DELAY", "1s")];
    all.extend_from_slice(settings);
    Server::start_example("battery", &all).await
}

/// nginx with `urls` as a pool, and a pool without each of them for as long as its mark is there.
async fn nginx(urls: &[String]) -> Proxy {
    let scratch = Scratch::new("nginx");
    let directory = scratch.path().display().to_string();
    let server = |url: &String| match url.strip_prefix("fastcgi+unix://") {
        Some(path) => format!("    server unix:{path} max_fails=0;\n"),
        None => format!("    server {} max_fails=0;\n", url.trim_start_matches("fastcgi://")),
    };
    let upstream = |name: &str, urls: &mut dyn Iterator<Item = &String>| {
        format!(
            "  upstream {name} {{\n{}    keepalive 32;\n    keepalive_requests 1000000;\n  }}\n",
            urls.map(server).collect::<String>()
        )
    };
    let (mut upstreams, mut choice) = (upstream("fleet", &mut urls.iter()), String::new());
    for out in 0..urls.len() {
        let others = &mut urls.iter().enumerate().filter(|(index, _)| *index != out).map(|(_, url)| url);
        upstreams += &upstream(&format!("without_{out}"), others);
        let _ = writeln!(choice, "      if (-f {directory}/out-{out}) {{ set $pool without_{out}; }}");
    }
    let address = local(free_port());
    let servers = format!(
        "{upstreams}  server {{
    listen {address} backlog=1024;
    keepalive_requests 1000000;
    location / {{
      set $pool fleet;
{choice}      fastcgi_pass $pool;
      fastcgi_keep_conn on;
      fastcgi_next_upstream off;
{}    }}
  }}
",
        fronts::nginx::params("fastcgi_param")
    );
    fronts::nginx::start_with(scratch, address, &servers).await
}
