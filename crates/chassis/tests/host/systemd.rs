//! What a service manager hears, and the unit files.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    harness::{Scratch, eventually, exclusive, http, server, shared, tools, within},
    line::Line,
};

/// The service manager's end.
struct Manager {
    scratch: Scratch,
    messages: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Manager {
    fn listen() -> Self {
        let scratch = Scratch::new("notify");
        let socket = UnixDatagram::bind(scratch.path().join("socket")).expect("binding a socket");
        socket.set_nonblocking(true).expect("a socket that does not block");
        let messages = Arc::default();
        tokio::spawn(read(tokio::net::UnixDatagram::from_std(socket).expect("a runtime"), Arc::clone(&messages)));
        Self { scratch, messages }
    }

    fn path(&self) -> PathBuf {
        self.scratch.path().join("socket")
    }

    /// What came so far but the watchdog's food, in order.
    fn heard(&self) -> Vec<String> {
        let messages = self.messages.lock().expect("the messages");
        messages.iter().map(|(_, message)| message.clone()).filter(|message| message != "WATCHDOG=1").collect()
    }

    fn fed(&self) -> usize {
        self.messages.lock().expect("the messages").iter().filter(|(_, message)| message == "WATCHDOG=1").count()
    }

    async fn hears(&self, wanted: &[&str]) {
        let heard = within(Duration::from_secs(20), async || (self.heard() == wanted).then_some(())).await;
        assert!(heard.is_some(), "not heard: {wanted:?}, but {:?}", self.heard());
    }

    fn forget(&self) {
        self.messages.lock().expect("the messages").clear();
    }
}

async fn read(socket: tokio::net::UnixDatagram, messages: Arc<Mutex<Vec<(Instant, String)>>>) {
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer).await {
        let message = String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned();
        messages.lock().expect("the messages").push((Instant::now(), message));
    }
}

#[tokio::test]
async fn the_service_manager_hears_of_each_change() {
    let _turn = shared().await;
    let manager = Manager::listen();
    let path = manager.path().display().to_string();
    let mut line = Line::start(&[("NOTIFY_SOCKET", &path)]).await;
    manager.hears(&["READY=1"]).await;

    manager.forget();
    let before = monotonic_micros();
    line.signal(Signal::SIGHUP);
    let reloaded = async || (manager.heard().len() == 2).then(|| manager.heard());
    let heard = eventually("a reload", Duration::from_secs(10), reloaded).await;
    let stamp = heard[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{heard:?}"));
    let stamp: i64 = stamp.parse().expect("a whole number");
    assert!((before..=monotonic_micros()).contains(&stamp), "{before} {stamp}");
    assert_eq!(heard[1], "READY=1");

    manager.forget();
    line.restart().await;
    let main = format!("MAINPID={}\nREADY=1", line.pid());
    eventually("the hand-over", Duration::from_secs(10), async || manager.heard().contains(&main).then_some(())).await;
    assert_eq!(line.exit_code(line.pids[0]).await, 0);
    // The old process says nothing of its drain: the service goes on.
    assert!(manager.heard()[0].starts_with("RELOADING=1\n"), "{:?}", manager.heard());
    assert_eq!(manager.heard()[1..], [main], "{:?}", manager.heard());

    manager.forget();
    line.install_script("exit 1");
    line.signal(Signal::SIGUSR2);
    let failed = async || (manager.heard().len() == 2).then(|| manager.heard());
    assert_eq!(eventually("a failure", Duration::from_secs(10), failed).await[1], "READY=1");

    manager.forget();
    line.signal(Signal::SIGTERM);
    manager.hears(&["STOPPING=1"]).await;
    assert_eq!(line.exit_code(line.pid()).await, 0);
}

fn monotonic_micros() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("the time");
    now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000
}

#[tokio::test]
async fn the_watchdog_is_fed_only_while_the_io_runtime_runs_tasks() {
    let _turn = exclusive().await;
    let manager = Manager::listen();
    let path = manager.path().display().to_string();
    let settings =
        [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "200000"), ("APP__RUNTIME__WORKER_THREADS", "1")];
    let mut line = Line::start_program(&server::example("fragile"), &settings, |_| {}).await;
    eventually("food", Duration::from_secs(5), async || (manager.fed() > 3).then_some(())).await;

    let app = line.app;
    let request = tokio::spawn(async move { http::get(app, "/block").await });
    // A beat of more than a second ago is not fresh; the worker is blocked for two.
    let hungry = async || {
        let last = manager.messages.lock().expect("the messages").last().map(|(instant, _)| *instant);
        last.is_some_and(|last| last.elapsed() > Duration::from_millis(500)).then_some(())
    };
    eventually("no food for half a second", Duration::from_secs(5), hungry).await;
    assert!(!request.is_finished(), "the worker was not blocked");
    assert_eq!(request.await.expect("a task").expect("an answer").status, 200);
    let before = manager.fed();
    eventually("food again", Duration::from_secs(5), async || (manager.fed() > before).then_some(())).await;

    // The new process feeds the watchdog too.
    line.restart().await;
    assert_eq!(line.exit_code(line.pids[0]).await, 0);
    let before = manager.fed();
    eventually("food from the new", Duration::from_secs(5), async || (manager.fed() > before + 2).then_some(())).await;
}

#[tokio::test]
async fn the_watchdog_of_another_process_is_not_fed() {
    let _turn = shared().await;
    let manager = Manager::listen();
    let path = manager.path().display().to_string();
    let settings = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "50000"), ("WATCHDOG_PID", "1")];
    let line = Line::start(&settings).await;
    manager.hears(&["READY=1"]).await;
    line.signal(Signal::SIGTERM);
    assert_eq!(line.exit_code(line.pid()).await, 0);
    assert_eq!(manager.fed(), 0);
}

#[tokio::test]
async fn systemd_takes_the_unit_files() {
    let _turn = shared().await;
    let scratch = Scratch::new("units");
    let units = tools::repository().join("systemd");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&units).expect("the unit files") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with(".service") && !name.ends_with(".socket") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a unit file");
        let program = server::program().display().to_string();
        let installed = text.replace("/usr/local/bin/server", &program);
        assert!(!name.ends_with(".service") || installed.contains(&program), "{name} starts something else");
        paths.push(scratch.write(&name, &installed).display().to_string());
    }
    assert!(paths.len() >= 3, "{paths:?}");
    let complaints = complaints(&scratch, &paths).await;
    assert!(complaints.is_empty(), "{complaints}");
}

/// What systemd says of the unit files; it ignores what it does not know, and exits with 0.
async fn complaints(scratch: &Scratch, paths: &[String]) -> String {
    let arguments: Vec<&str> = ["verify", "--man=no"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let done = tools::run("systemd-analyze", &arguments).await;
    assert_eq!(done.code, 0, "{}", done.text);
    let folder = scratch.path().to_string_lossy().into_owned();
    let is_ours = |line: &&str| line.contains(&folder) || line.contains("server");
    done.text.lines().filter(is_ours).collect::<Vec<_>>().join("\n")
}

/// `Type=notify-reload` came with systemd 253. Debian 12 has 252, which ignores the line, takes the default `simple`, and then
/// neither waits for READY nor knows of a reload.
#[tokio::test]
async fn the_unit_files_ask_for_nothing_newer_than_systemd_252() {
    let _turn = shared().await;
    let scratch = Scratch::new("types");
    let units = tools::repository().join("systemd");
    for name in ["server.service", "server-activated.service"] {
        let text = fs::read_to_string(units.join(name)).expect("a unit file");
        let has = |line: &str| text.lines().any(|other| other == line);
        assert!(has("Type=notify") && has("NotifyAccess=main"), "{name}");
        assert!(has("ExecReload=/bin/kill -HUP $MAINPID"), "{name}: without it, Type=notify has no reload");
    }

    // The verification above would see it, on the systemd that matters.
    let newer = fs::read_to_string(units.join("server.service")).expect("a unit file");
    let newer = newer.replace("Type=notify\n", "Type=notify-reload\n");
    let newer = newer.replace("/usr/local/bin/server", &server::program().display().to_string());
    let path = scratch.write("server.service", &newer).display().to_string();
    let said = complaints(&scratch, &[path]).await;
    let version = tools::run("systemd-analyze", &["--version"]).await.text;
    let version: u32 = version.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a version");
    assert_eq!(said.contains("Failed to parse service type"), version < 253, "systemd {version}: {said}");
}
