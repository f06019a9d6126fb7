//! The service as a process.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{
    eventually,
    http::{self, Response},
    log::{Logs, collect, collect_until, listener, text, urls},
    sum, tools, within,
};

/// What every test starts from; a test's own settings come after and win.
pub(crate) const SETTINGS: [(&str, &str); 8] = [
    ("APP__SERVER__LISTEN", "http://127.0.0.1:0"),
    ("APP__ADMIN__LISTEN", "127.0.0.1:0"),
    ("APP__SERVER__REQUEST_TIMEOUT", "3s"),
    ("APP__LIFECYCLE__DRAIN_DELAY", "500ms"),
    ("APP__LIFECYCLE__DRAIN_TIMEOUT", "5s"),
    ("APP__TELEMETRY__LOG_FORMAT", "json"),
    // Off, so that a test under load does not measure its own reading of the log.
    ("APP__TELEMETRY__ACCESS_LOG", "false"),
    ("RUST_BACKTRACE", "1"),
];

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(20);

/// How long a line of the log may take to be read.
const LOG: Duration = Duration::from_secs(10);

/// A command with nothing of the caller's own settings in its environment.
pub(crate) fn command(program: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("APP__") || name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
    }
    command.envs(settings.iter().copied());
    command
}

/// The binary under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sample"))
}

/// Another app on the engine, of `programs/`; cargo builds them with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let path = program().with_file_name(name);
    assert!(path.is_file(), "{} not found: does its feature stand in the command?", path.display());
    path
}

/// A running replica. Dropping it kills it.
pub(crate) struct Server {
    /// The application listener.
    pub(crate) app: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    child: Child,
    pid: Pid,
    logs: Logs,
    deaf: Arc<AtomicBool>,
}

impl Server {
    /// Starts the service and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let mut command = command(program(), &SETTINGS);
        command.envs(settings.iter().copied());
        Self::ready(command).await
    }

    /// The same with `arguments`, and without the settings of every test that are in `files` instead.
    pub(crate) async fn start_from_files(arguments: &[&str], files: &[&str]) -> Self {
        let mut command = command(program(), &SETTINGS);
        command.args(arguments);
        for name in files {
            command.env_remove(name);
        }
        Self::ready(command).await
    }

    /// The same without one of the settings of every test.
    #[allow(dead_code, reason = "the tests of the settings do")]
    pub(crate) async fn start_without(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = command(program(), &SETTINGS);
        command.env_remove(name).envs(settings.iter().copied());
        Self::ready(command).await
    }

    /// The same without waiting for more than the listeners.
    pub(crate) async fn start_unready(settings: &[(&str, &str)]) -> Self {
        let mut command = command(program(), &SETTINGS);
        command.envs(settings.iter().copied());
        Self::listening(command).await
    }

    /// The same with an example instead of the service.
    pub(crate) async fn start_example(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = command(&example(name), &SETTINGS);
        command.envs(settings.iter().copied());
        Self::ready(command).await
    }

    /// The same with an example, without waiting for more than the listeners.
    #[allow(dead_code, reason = "the tests of the start do")]
    pub(crate) async fn start_example_unready(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = command(&example(name), &SETTINGS);
        command.envs(settings.iter().copied());
        Self::listening(command).await
    }

    /// The same with at most `open_files` file descriptors.
    pub(crate) async fn start_limited(open_files: u32, settings: &[(&str, &str)]) -> Self {
        let mut command = command(Path::new("sh"), &SETTINGS);
        command.args(["-c", &format!("ulimit -n {open_files}; exec \"$0\"")]).arg(program());
        command.envs(settings.iter().copied());
        Self::ready(command).await
    }

    /// The same with an example, in the control groups whose folders are `groups`.
    #[allow(dead_code, reason = "the tests of the host do")]
    pub(crate) async fn start_example_in(groups: &[PathBuf], name: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = command(Path::new("sh"), &SETTINGS);
        let enter = r#"for group; do echo $$ >"$group/cgroup.procs"; done; exec "$0""#;
        command.args(["-e", "-c", enter]).arg(example(name)).args(groups);
        command.envs(settings.iter().copied());
        Self::ready(command).await
    }

    async fn ready(command: Command) -> Self {
        let server = Self::listening(command).await;
        let ready = within(START, async || (server.probe("/readyz").await == Some(200)).then_some(())).await;
        assert!(ready.is_some(), "the server did not get ready; its log:\n{}", server.log());
        server
    }

    /// Waits for a line of each listener: port 0 is known only from the log.
    async fn listening(mut command: Command) -> Self {
        let doors = doors(&command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let logs = Logs::default();
        let deaf = Arc::new(AtomicBool::new(false));
        let stdout = child.stdout.take().expect("a piped standard output");
        collect_until(stdout, Arc::clone(&logs), Arc::clone(&deaf));
        collect(child.stderr.take().expect("a piped standard error"), Arc::clone(&logs));
        let ports = within(START, async || {
            let ended = child.try_wait().expect("asking for a child's state");
            assert!(ended.is_none(), "the server ended at start: {ended:?}; its log:\n{}", text(&logs));
            let ports = (listener(&logs, "app")?, listener(&logs, "admin")?);
            (urls(&logs).len() >= doors).then_some(ports)
        });
        let Some((app, admin)) = ports.await else { panic!("no listening lines; its log:\n{}", text(&logs)) };
        let pid = Pid::from_raw(child.id().expect("a running child").try_into().expect("a process id"));
        Self { app, admin, child, pid, logs, deaf }
    }

    /// From the next line on nobody reads its standard output, and the pipe stays open.
    #[allow(dead_code, reason = "the tests of hostile peers do")]
    pub(crate) fn stop_reading(&self) {
        self.deaf.store(true, Relaxed);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(self.pid, signal).expect("signalling the server");
    }

    /// The exit code (128 and the signal where one killed it); panics where it still runs after `bound`.
    pub(crate) async fn wait_exit(&mut self, bound: Duration) -> i32 {
        let Ok(status) = timeout(bound, self.child.wait()).await else {
            panic!("the server still runs after {bound:?}; its log:\n{}", self.log())
        };
        code(status.expect("waiting for the server"))
    }

    /// The URLs of the application's listeners, in the order of the settings.
    pub(crate) fn urls(&self) -> Vec<String> {
        urls(&self.logs)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        text(&self.logs)
    }

    /// How many lines have all of `parts`.
    #[allow(dead_code, reason = "the tests of restarts do")]
    pub(crate) fn lines_with(&self, parts: &[&str]) -> usize {
        let logs = self.logs.lock().expect("the log");
        logs.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// Waits for a line with `text`: the log is read beside the answers.
    pub(crate) async fn logs(&self, text: &str) {
        let told = within(LOG, async || self.log().contains(text).then_some(())).await;
        assert!(told.is_some(), "no line with {text}; the log:\n{}", self.log());
    }

    /// The status of `path` on the admin listener; none where it does not answer.
    pub(crate) async fn probe(&self, path: &str) -> Option<u16> {
        http::get(self.admin, path).await.ok().map(|response| response.status)
    }

    /// The answer of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Response {
        http::get(self.admin, path).await.unwrap_or_else(|failure| panic!("GET {path} on admin: {failure:?}"))
    }

    /// The answer of the application listener.
    pub(crate) async fn get(&self, path: &str) -> Response {
        http::get(self.app, path).await.unwrap_or_else(|failure| panic!("GET {path}: {failure:?}"))
    }

    /// The sum of all series of the metric `name`; 0 where there is none.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        sum(&self.admin("/metrics").await.text(), name)
    }

    /// The sum of the series of the metric `name` that have `label`, as `reason="yielded"`.
    pub(crate) async fn series(&self, name: &str, label: &str) -> f64 {
        let text = self.admin("/metrics").await.text();
        let labelled: Vec<_> = text.lines().filter(|line| line.contains(label)).collect();
        sum(&labelled.join("\n"), name)
    }

    /// Waits until the metric `name` is `value`.
    pub(crate) async fn metric_becomes(&self, name: &str, value: f64, bound: Duration) {
        let what = format!("{name} is {value}");
        eventually(&what, bound, async || ((self.metric(name).await - value).abs() < 0.5).then_some(())).await;
    }

    /// Waits until the series of the metric `name` that have `label` sum up to `value`: many are counted after what a
    /// peer sees.
    #[allow(dead_code, reason = "the tests of the doors do")]
    pub(crate) async fn series_becomes(&self, name: &str, label: &str, value: f64) {
        let what = format!("{name} with {label} is {value}");
        let is = async || ((self.series(name, label).await - value).abs() < 0.5).then_some(());
        eventually(&what, Duration::from_secs(10), is).await;
    }

    /// Waits until the series of the metric `name` that have `label` sum up to `least` or more.
    #[allow(dead_code, reason = "the hostile tests do")]
    pub(crate) async fn series_becomes_more(&self, name: &str, label: &str, least: f64) {
        let what = format!("{name} with {label} is {least} or more");
        let is = async || (self.series(name, label).await >= least).then_some(());
        eventually(&what, Duration::from_secs(30), is).await;
    }

    /// CPU time spent so far, by all threads (utime and stime of proc(5), in ticks of 10 ms).
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("reading /proc");
        let after_name = stat.rsplit_once(')').expect("a name in parentheses").1;
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("reading /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a VmRSS line");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }
}

/// Runs the service to its end, for starts that must fail.
pub(crate) async fn run_to_exit(arguments: &[&str], settings: &[(&str, &str)]) -> tools::Output {
    let mut command = command(program(), &SETTINGS);
    command.args(arguments).envs(settings.iter().copied());
    tools::output(command, "", Duration::from_secs(20)).await
}

/// As a shell gives it: the code, or 128 and the signal.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("a code or a signal")
}

/// How many listeners the environment names; one where it is left to a file.
fn doors(command: &Command) -> usize {
    let mut settings = command.as_std().get_envs();
    let listen = settings.find_map(|(name, value)| value.filter(|_| name == "APP__SERVER__LISTEN"));
    listen.map_or(1, |urls| urls.to_string_lossy().split(',').count())
}
