//! The plugin in Debian's uWSGI, behind HTTP: the battery of every door, and how it starts, reloads and ends.
//!
//! `make uwsgi-plugin` builds and runs it. Cases and client are those of `tests/doors` and `tests/it`.

#[path = "../../../chassis/tests/doors/cases.rs"]
mod cases;
#[allow(dead_code, reason = "there is one door here")]
#[path = "../../../chassis/tests/doors/door.rs"]
mod door;

mod harness;

use std::{env, fs, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use self::{
    cases::{Case, Wrong},
    door::{Around, Carrier, Door, Front, Protocol},
    harness::{
        http::{self, Connection},
        within,
    },
};

const DOOR: Door = Door {
    name: "uwsgi-inside",
    front: Front::Host,
    protocol: Protocol::Uwsgi,
    carrier: Carrier::Tcp,
    keep: false,
    around: Around::Nothing,
};

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// 16: above what the battery asks at a time.
const THREADS: usize = 16;

/// uWSGI with the battery app inside. Dropping it ends it.
struct Host {
    address: SocketAddr,
    master: Child,
    log: PathBuf,
}

impl Host {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let host = Self::spawn(settings);
        let answers = async || http::get(host.address, "/hello/").await.ok();
        assert!(within(PATIENCE, answers).await.is_some(), "no answer:\n{}", host.log());
        host
    }

    fn spawn(settings: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = port.expect("a free port");
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("uwsgi-{}.log", address.port()));
        let file = fs::File::create(&log).expect("creating the log");
        let mut command = Command::new("uwsgi-core");
        command.args(["--master", "--lazy-apps", "--need-app", "--plugin", "0:symcall", "--dlopen"]).arg(library());
        command.args(["--symcall", "battery_request", "--symcall-post-fork", "battery_start"]);
        command.args(["--hook-as-user-atexit", "call:battery_stop", "--http-socket", &address.to_string()]);
        command.args(["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]);
        command.args([
            "--processes",
            "1",
            "--threads",
            &THREADS.to_string(),
            "--disable-logging",
            "--worker-reload-mercy",
            "20",
        ]);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("APP__")) {
            command.env_remove(name);
        }
        command.envs([("APP__SERVER__MAX_BODY", "128MiB"), ("APP__TELEMETRY__LOG_FORMAT", "json")]);
        command.envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let master = command.kill_on_drop(true).spawn();
        let master = master.unwrap_or_else(|error| panic!("starting uwsgi-core: {error}: run `make tools`"));
        Self { address, master, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let id = self.master.id().and_then(|id| i32::try_from(id).ok()).expect("a running master");
        kill(Pid::from_raw(id), signal).expect("signalling");
    }

    /// How many workers were started so far.
    fn starts(&self) -> usize {
        self.log().matches("started inside another server").count()
    }

    /// Whether the worker has made all of uWSGI's own threads, the first of which makes the others and then waits.
    fn has_all_threads(&self) -> bool {
        let log = self.log();
        let worker = log.split("spawned uWSGI worker 1 (pid: ").nth(1).and_then(|rest| rest.split(',').next());
        let Some(worker) = worker else { return false };
        let tasks = fs::read_dir(format!("/proc/{worker}/task")).into_iter().flatten().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        let state = fs::read_to_string(format!("/proc/{worker}/task/{worker}/stat")).unwrap_or_default();
        names.filter(|name| name.starts_with("uwsgi")).count() >= THREADS && state.contains(") S ")
    }

    /// Asks for what takes `ms`, and waits until it runs.
    async fn slow(&self, ms: u32) -> Connection {
        let mut connection = Connection::open(self.address).await.expect("connecting");
        let request = format!("GET /slow?ms={ms} HTTP/1.1\r\nhost: test\r\n\r\n");
        connection.send(request.as_bytes()).await.expect("sending");
        let runs = async || http::get(self.address, "/slow/running").await.ok().filter(|running| running.text() == "1");
        assert!(within(PATIENCE, runs).await.is_some(), "the handler does not run");
        // uWSGI 2.0.21 cancels threads that it has not begun yet, and crashes: a stop comes once all of them are there.
        let are_up = async || self.has_all_threads().then_some(());
        assert!(within(PATIENCE, are_up).await.is_some(), "not {THREADS} threads:\n{}", self.log());
        connection
    }

    async fn exit_code(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.master.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log())).expect("waiting").code()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Its workers end when it is gone.
        if let Some(id) = self.master.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGQUIT);
        }
    }
}

/// What `cargo build --example battery_plugin` made.
fn library() -> PathBuf {
    let program = env::current_exe().expect("this program");
    let built = program.parent().and_then(|path| path.parent()).expect("target/PROFILE/deps");
    let library = built.join("examples/libbattery_plugin.so");
    assert!(library.exists(), "{} is not there: run `make uwsgi-plugin`", library.display());
    library
}

#[tokio::test]
async fn the_battery_passes_inside_uwsgi() {
    let host = Host::start(&[]).await;
    let (mut wrong, mut row): (Vec<Wrong>, Vec<String>) = (Vec::new(), Vec::new());
    for case in Case::ALL {
        let result = case.run(DOOR, host.address).await;
        row.push(result.as_ref().map_or("WRONG", |()| case.left_out(DOOR).unwrap_or("yes")).to_owned());
        wrong.extend(result.err().map(|what| format!("{}: {what}", case.name())));
    }
    println!("| door | {} |\n|---|{}", Case::ALL.map(Case::name).join(" | "), "---|".repeat(Case::ALL.len()));
    println!("| {} | {} |", DOOR.name, row.join(" | "));
    assert!(wrong.is_empty(), "\n{}\n{}", wrong.join("\n"), host.log());
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_a_reload() {
    let host = Host::start(&[]).await;
    let mut connection = host.slow(1500).await;
    host.signal(Signal::SIGHUP);
    let answer = connection.receive().await;
    assert_eq!(answer.map(|answer| (answer.status, answer.text())), Ok((200, "slow\n".to_owned())), "{}", host.log());
    let again = async || (host.starts() == 2).then_some(());
    assert!(within(PATIENCE, again).await.is_some(), "no new worker:\n{}", host.log());
    let answers = async || http::get(host.address, "/hello/").await.ok().filter(|answer| answer.status == 200);
    assert!(within(PATIENCE, answers).await.is_some(), "no answer after the reload:\n{}", host.log());
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let mut host = Host::start(&[]).await;
    let mut connection = host.slow(1500).await;
    host.signal(Signal::SIGTERM);
    let answer = connection.receive().await;
    assert_eq!(answer.map(|answer| (answer.status, answer.text())), Ok((200, "slow\n".to_owned())), "{}", host.log());
    assert_eq!(host.exit_code().await, Some(0), "{}", host.log());
}

#[tokio::test]
async fn settings_that_are_wrong_are_named_and_end_it() {
    let mut host = Host::spawn(&[("APP__SERVER__BACKLOG", "0")]);
    let code = host.exit_code().await;
    let log = host.log();
    assert!(code != Some(0) && log.contains("server.backlog"), "{code:?}:\n{log}");
}
