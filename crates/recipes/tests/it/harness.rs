//! A recipe, and a Redis, as processes. Dropping one kills it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// How long anything may take on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// Polls `probe` until it gives something.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A Redis of the test's own, on a Unix socket.
pub(crate) struct Redis {
    folder: TempDir,
    process: Option<Child>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let mut redis = Self { folder: tempfile::tempdir().expect("a temporary directory"), process: None };
        redis.resume().await;
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends it, as a failure of the host would.
    pub(crate) async fn lose(&mut self) {
        let mut process = self.process.take().expect("a running redis-server");
        process.kill().await.expect("killing redis-server");
        std::fs::remove_file(self.socket()).expect("removing the socket");
    }

    /// Starts it (again), empty.
    pub(crate) async fn resume(&mut self) {
        let socket = self.socket();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(&socket).stdout(Stdio::null());
        let process = command.kill_on_drop(true).spawn();
        self.process = Some(process.unwrap_or_else(|error| panic!("redis-server: {error}: run `make tools`")));
        eventually("redis listens", async || tokio::net::UnixStream::connect(&socket).await.ok()).await;
    }
}

/// A running recipe.
pub(crate) struct Recipe {
    pub(crate) app: SocketAddr,
    pub(crate) admin: SocketAddr,
    process: Child,
    http: Client,
}

impl Recipe {
    /// Starts the example `name`, and waits until it is ready.
    pub(crate) async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(example(name));
        command
            .envs([("APP__SERVER__LISTEN", "http://127.0.0.1:0"), ("APP__ADMIN__LISTEN", "127.0.0.1:0")])
            .envs([("APP__LIFECYCLE__DRAIN_DELAY", "200ms"), ("APP__TELEMETRY__LOG_FORMAT", "json")])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("starting {name}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (collected, mut output) =
            (Arc::clone(&lines), BufReader::new(process.stdout.take().expect("a piped standard output")).lines());
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                collected.lock().expect("the log").push(line);
            }
        });
        let listener = |name: &str| {
            lines.lock().expect("the log").iter().find_map(|line: &String| {
                let line: Value = serde_json::from_str(line).ok()?;
                let ours = line["message"] == "listening" && line["listener"] == name;
                ours.then(|| line["url"].as_str()?.rsplit('/').next()?.parse().ok())?
            })
        };
        let (app, admin) =
            eventually("the recipe listens", async || Some((listener("app")?, listener("admin")?))).await;
        let recipe = Self { app, admin, process, http: Client::new() };
        eventually("the recipe is ready", async || (recipe.probe("/readyz").await.0 == 200).then_some(())).await;
        recipe
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("http://{}{path}", self.app))
    }

    pub(crate) fn put(&self, path: &str) -> RequestBuilder {
        self.http.put(format!("http://{}{path}", self.app))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("http://{}{path}", self.app))
    }

    /// Status and text of a path on the admin listener.
    pub(crate) async fn probe(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(format!("http://{}{path}", self.admin)).send().await.expect("the admin listener");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// Waits until the metrics have `line`.
    pub(crate) async fn metric_becomes(&self, line: &str) {
        eventually(line, async || self.probe("/metrics").await.1.lines().any(|found| found == line).then_some(()))
            .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.process.id().expect("a running recipe").try_into().expect("a process id");
        signal::kill(Pid::from_raw(pid), signal).expect("signalling the recipe");
    }

    /// The exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(BOUND, self.process.wait()).await.expect("an end in time").expect("a status").code()
    }
}

/// Cargo builds examples beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let path = test.ancestors().nth(2).map_or_else(PathBuf::new, Path::to_owned).join("examples").join(name);
    assert!(path.is_file(), "example {name} not found: run `cargo build -p recipes --examples`");
    path
}
