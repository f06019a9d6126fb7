//! Restarts by SIGUSR2 under every door: the listeners go from process to process, and no request is lost.
//!
//! `HOST_RESTARTS` is how many behind nginx's FastCGI over a Unix socket: 4, or 40 with `make test-full`; one each half
//! second.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    fronts::nginx,
    harness::{
        Scratch, at, eventually, exclusive, free_port,
        load::{Load, Mode},
        local, number,
        proxy::Proxy,
        server,
    },
    line::Line,
};

/// 5,000 requests for each: 200,000 over the full 40.
const REQUESTS_A_RESTART: u64 = 5_000;
const EVERY: Duration = Duration::from_millis(500);

#[tokio::test]
async fn restarts_behind_nginx_over_fastcgi_on_a_unix_socket_lose_no_post() {
    let _turn = exclusive().await;
    let restarts = number("HOST_RESTARTS", 4);
    let scratch = Scratch::new("restart");
    let socket = scratch.path().join("fastcgi.sock");
    let mut line = start(&[format!("fastcgi+unix://{}", socket.display())], "1s").await;
    let file = inode(&socket);
    let (kept, closed) = (local(free_port()), local(free_port()));
    let at_socket = format!("unix:{}", socket.display());
    let pass = |keep| format!("fastcgi_keep_conn {keep};\n{}", nginx::params("fastcgi_param"));
    let servers = [
        front("kept", kept, &at_socket, "fastcgi", true, &pass("on")),
        front("closed", closed, &at_socket, "fastcgi", false, &pass("off")),
    ];
    let _proxy = nginx::start_with(Scratch::new("nginx"), kept, &servers.concat()).await;
    let think = Duration::from_millis(50);
    let modes = [(kept, Mode::KeepAlive, 12), (kept, Mode::ThinkTime(think), 32), (kept, Mode::NewConnection, 8)];
    let loads = modes
        .into_iter()
        .chain([(closed, Mode::KeepAlive, 8)])
        .map(|(to, mode, clients)| (mode, Load::post(to, clients, mode, "/upload", "what is posted once")))
        .collect::<Vec<_>>();
    let ok = || loads.iter().map(|(_, load)| load.ok()).sum::<u64>();
    eventually("the load has begun", Duration::from_secs(10), async || (ok() > 100).then_some(())).await;

    let started = Instant::now();
    for _ in 0..restarts {
        let next = Instant::now() + EVERY;
        line.restart().await;
        at(next).await;
    }
    let took = started.elapsed();
    let enough = async || (ok() >= restarts * REQUESTS_A_RESTART).then_some(());
    eventually("the number of requests", Duration::from_mins(5), enough).await;

    let (mut lost, mut answered) = (Vec::new(), 0);
    for (mode, load) in loads {
        let outcomes = load.stop().await;
        println!("{restarts} restarts in {took:?}, POST, {mode:?}: {outcomes}");
        answered += outcomes.ok;
        if outcomes.failed() > 0 {
            lost.push(format!("{mode:?}: {outcomes}"));
        }
    }
    println!(
        "{restarts} restarts in {took:?}, FastCGI over a Unix socket: {answered} POSTs, {} kinds lost",
        lost.len()
    );
    assert!(lost.is_empty(), "{lost:?}; the log:\n{}", line.log());
    assert_eq!(inode(&socket), file, "another file");
    let codes = line.stop().await;
    assert_eq!(codes, vec![0; usize::try_from(restarts).expect("a small number") + 1]);
    assert!(!socket.exists(), "the file stays behind a full stop");
}

#[tokio::test]
async fn every_door_is_handed_over() {
    let _turn = exclusive().await;
    let scratch = Scratch::new("handover");
    let unix = |scheme: &str| scratch.path().join(format!("{scheme}.sock"));
    let mut doors = Vec::new();
    for scheme in ["http", "fastcgi", "uwsgi"] {
        let address = local(free_port());
        doors.push((scheme, format!("{scheme}://{address}"), address.to_string()));
        let path = unix(scheme).display().to_string();
        doors.push((scheme, format!("{scheme}+unix://{path}"), format!("unix:{path}")));
    }
    let urls: Vec<String> = doors.iter().map(|(_, url, _)| url.clone()).collect();
    let mut line = start(&urls, "1s").await;
    let files: Vec<u64> = ["http", "fastcgi", "uwsgi"].map(|scheme| inode(&unix(scheme))).into();
    let mut fronts = Vec::new();
    let mut servers = String::new();
    for (number, (scheme, url, at)) in doors.iter().enumerate() {
        let (address, is_http) = (local(free_port()), *scheme == "http");
        let pass = match *scheme {
            "http" => "proxy_http_version 1.1; proxy_set_header Connection \"\";".to_owned(),
            "fastcgi" => format!("fastcgi_keep_conn on;\n{}", nginx::params("fastcgi_param")),
            _ => nginx::params("uwsgi_param"),
        };
        let directive = if is_http { "proxy" } else { *scheme };
        servers += &front(&format!("door{number}"), address, at, directive, *scheme != "uwsgi", &pass);
        fronts.push((url, address));
    }
    let _proxy: Proxy = nginx::start_with(Scratch::new("nginx"), fronts[0].1, &servers).await;
    let loads: Vec<_> =
        fronts.iter().map(|(url, address)| (url, Load::start(*address, 4, Mode::KeepAlive, "/hello/"))).collect();
    for _ in 0..2 {
        let before: Vec<u64> = loads.iter().map(|(_, load)| load.ok()).collect();
        line.restart().await;
        // Until the old one is gone, all of its listeners have been left.
        line.exit_code(line.pids[0]).await;
        line.pids.remove(0);
        for ((url, load), before) in loads.iter().zip(before) {
            let more = async || (load.ok() > before + 50).then_some(());
            eventually(url, Duration::from_secs(20), more).await;
        }
    }
    for (url, load) in loads {
        let outcomes = load.stop().await;
        println!("2 restarts, {url}: {outcomes}");
        assert_eq!(outcomes.failed(), 0, "{url}: {outcomes}");
    }
    assert_eq!(files, ["http", "fastcgi", "uwsgi"].map(|scheme| inode(&unix(scheme))));
    assert_eq!(line.stop().await, [0]);
}

/// The battery app on `urls`, and on HTTP.
async fn start(urls: &[String], delay: &str) -> Line {
    let listen = format!("http://127.0.0.1:0,{}", urls.join(","));
    let settings = [
        ("APP__SERVER__LISTEN", &*listen),
        ("APP__SERVER__UNIX_MODE", "0666"),
        ("APP__LIFECYCLE__DRAIN_DELAY", delay),
        // A refusal on a machine that others keep busy is no request lost in a restart.
        ("APP__OVERLOAD__ENABLED", "false"),
    ];
    Line::start_program(&server::example("battery"), &settings, |_| {}).await
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).expect("the socket's file").ino()
}

/// A server of nginx's that passes all to `at`, and never asks twice.
fn front(name: &str, address: SocketAddr, at: &str, directive: &str, keep: bool, more: &str) -> String {
    let mut server = format!("  upstream {name} {{\n    server {at} max_fails=0;\n");
    if keep {
        server += "    keepalive 64;\n    keepalive_requests 1000000;\n";
    }
    let url = if directive == "proxy" { format!("http://{name}") } else { name.to_owned() };
    let _ = write!(
        server,
        "  }}
  server {{
    listen {address} backlog=1024;
    keepalive_requests 1000000;
    location / {{
      {directive}_pass {url};
      {directive}_next_upstream off;
{more}
    }}
  }}
"
    );
    server
}
