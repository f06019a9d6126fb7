//! Real proxies in front of replicas: with keep-alive to both sides, and with every retry turned off.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{Scratch, free_port, local, tools, within};

pub(super) const START: Duration = Duration::from_secs(10);

/// A proxy in the foreground. Dropping it ends it.
pub(crate) struct Proxy {
    /// Where clients go.
    pub(crate) address: SocketAddr,
    child: Child,
    config: PathBuf,
    scratch: Scratch,
}

/// What nginx does where a replica fails.
#[derive(Clone, Copy)]
pub(crate) enum Retries {
    /// Nothing, so that the clients see what a replica loses.
    Off,
    /// As its manual's first example: one failure takes a replica out for 10 s.
    Usual,
    /// As docs/operations.md: the next replica is asked each time, and none is taken out.
    Documented,
}

impl Proxy {
    /// nginx with `replicas` as its upstream. It has no active checks: see [`Self::reload_nginx`].
    pub(crate) async fn nginx(replicas: &[SocketAddr]) -> Self {
        Self::nginx_that(Retries::Off, replicas).await
    }

    /// The same with `retries`.
    pub(crate) async fn nginx_that(retries: Retries, replicas: &[SocketAddr]) -> Self {
        let scratch = Scratch::new("nginx");
        let address = local(free_port());
        let config = scratch.write("nginx.conf", &nginx_config(&scratch, address, replicas, retries));
        let mut command = Command::new(tools::find("nginx"));
        command.arg("-e").arg(scratch.path().join("error.log")).arg("-p").arg(scratch.path()).arg("-c").arg(&config);
        Self::start(command, address, config, scratch).await
    }

    /// `HAProxy` with `replicas`, each checked on `/healthz` every 100 ms.
    pub(crate) async fn haproxy(replicas: &[SocketAddr]) -> Self {
        let mut servers = String::new();
        for (number, replica) in replicas.iter().enumerate() {
            let _ = writeln!(servers, "  server replica-{number} {replica} check inter 100ms fall 1 rise 1");
        }
        Self::haproxy_with(&servers).await
    }

    async fn haproxy_with(servers: &str) -> Self {
        let scratch = Scratch::new("haproxy");
        let address = local(free_port());
        let config = scratch.write("haproxy.cfg", &haproxy_config(address, servers));
        let mut command = Command::new(tools::find("haproxy"));
        command.arg("-db").arg("-f").arg(&config);
        Self::start(command, address, config, scratch).await
    }

    /// `HAProxy` with `replicas`, each with the address of its agent check, asked every 100 ms; health is not checked.
    pub(crate) async fn haproxy_asking(replicas: &[(SocketAddr, SocketAddr)]) -> Self {
        let mut servers = String::new();
        for (number, (replica, agent)) in replicas.iter().enumerate() {
            let agent = format!("agent-check agent-addr {} agent-port {} agent-inter 100ms", agent.ip(), agent.port());
            let _ = writeln!(servers, "  server replica-{number} {replica} weight 100 {agent}");
        }
        Self::haproxy_with(&servers).await
    }

    /// Writes a new upstream list and reloads, as a controller does. A reload closes nginx's own idle connections to
    /// its clients, some of which have a request in them already (measured: 232 of 40,812 requests over 20 reloads, with
    /// no replica touched), so it is for clients that open a connection for each request.
    pub(crate) fn reload_nginx(&self, replicas: &[SocketAddr]) {
        let content = nginx_config(&self.scratch, self.address, replicas, Retries::Off);
        std::fs::write(&self.config, content).expect("writing nginx.conf");
        self.signal(Signal::SIGHUP);
    }

    /// Whether nginx's log of errors has `text`.
    #[allow(dead_code, reason = "the tests of restarts do")]
    pub(crate) fn told(&self, text: &str) -> bool {
        self.errors().contains(text)
    }

    /// Whether `replica` has refused a connection of nginx's.
    #[allow(dead_code, reason = "the tests of restarts do")]
    pub(crate) fn was_refused(&self, replica: SocketAddr) -> bool {
        let url = format!("http://{replica}/");
        self.errors().lines().any(|line| line.contains("Connection refused") && line.contains(&url))
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("error.log")).expect("nginx's log of errors")
    }

    /// Takes a replica out of nginx's upstream without a reload, for clients that keep their connections.
    pub(crate) fn take_out(&self, replica: usize) {
        self.scratch.write(&format!("out-{replica}"), "");
    }

    /// Puts it back.
    pub(crate) fn put_back(&self, replica: usize) {
        std::fs::remove_file(self.scratch.path().join(format!("out-{replica}"))).expect("removing the mark");
    }

    /// Waits until it accepts on `address`.
    pub(crate) async fn start(mut command: Command, address: SocketAddr, config: PathBuf, scratch: Scratch) -> Self {
        let log = std::fs::File::create(scratch.path().join("log")).expect("creating the log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let accepts = within(START, async || TcpStream::connect(address).await.ok()).await;
        if accepts.is_none() {
            let said = ["log", "error.log"].map(|name| std::fs::read_to_string(scratch.path().join(name)));
            panic!("{command:?} does not accept on {address}: {said:?}");
        }
        Self { address, child, config, scratch }
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = self.child.id() else { return };
        let _ = signal::kill(Pid::from_raw(pid.try_into().expect("a process id")), signal);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not SIGKILL: nginx's workers end only with a master that tells them.
        self.signal(Signal::SIGTERM);
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn nginx_config(scratch: &Scratch, address: SocketAddr, replicas: &[SocketAddr], retries: Retries) -> String {
    let directory = scratch.path().display();
    // As root, workers would change to a user that cannot write into the scratch directory.
    let user = if tools::is_root() { "user root;" } else { "" };
    let next = if matches!(retries, Retries::Off) { "off" } else { "error timeout" };
    let mut upstreams = upstream("fleet", replicas, retries);
    let mut choice = String::new();
    for out in 0..replicas.len() {
        let others: Vec<SocketAddr> = replicas.iter().copied().filter(|replica| *replica != replicas[out]).collect();
        if !others.is_empty() {
            upstreams += &upstream(&format!("without_{out}"), &others, retries);
            let _ = writeln!(choice, "      if (-f {directory}/out-{out}) {{ set $pool without_{out}; }}");
        }
    }
    format!(
        "{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
{upstreams}  server {{
    listen {address} backlog=4096;
    keepalive_requests 1000000;
    location / {{
      set $pool fleet;
{choice}      proxy_pass http://$pool;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_next_upstream {next};
      proxy_connect_timeout 5s;
      proxy_read_timeout 10s;
    }}
  }}
}}
"
    )
}

fn upstream(name: &str, replicas: &[SocketAddr], retries: Retries) -> String {
    let fails = if matches!(retries, Retries::Usual) { "" } else { " max_fails=0" };
    let mut servers = String::new();
    for replica in replicas {
        let _ = writeln!(servers, "    server {replica}{fails};");
    }
    format!("  upstream {name} {{\n{servers}    keepalive 64;\n    keepalive_requests 1000000;\n  }}\n")
}

fn haproxy_config(address: SocketAddr, servers: &str) -> String {
    format!(
        "global
  maxconn 4096
  nbthread 1
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 30s
  timeout server 10s
  timeout http-keep-alive 30s
  timeout check 2s
frontend door
  bind {address} backlog 4096
  default_backend fleet
backend fleet
  balance roundrobin
  option httpchk GET /healthz
  http-reuse always
{servers}"
    )
}
