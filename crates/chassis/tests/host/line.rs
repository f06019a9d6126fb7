//! A line of processes, each started by the one before it.

use std::{
    fs,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, fs::symlink},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{self, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::process::{ChildStderr, ChildStdout, Command};

use crate::harness::{
    Scratch, eventually, http,
    log::{self, Logs},
    server, within,
};

const START: Duration = Duration::from_secs(20);

/// The processes. Dropping it kills them.
pub(crate) struct Line {
    /// The application listener.
    pub(crate) app: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    /// In order; the last one serves.
    pub(crate) pids: Vec<Pid>,
    logs: Logs,
    scratch: Scratch,
}

impl Line {
    /// Starts the service by a link to it, and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_program(server::program(), settings, |_| {}).await
    }

    /// The same with another program, and with what `change` does to the command.
    #[expect(clippy::zombie_processes, reason = "`exit_code` waits for each, by its id")]
    pub(crate) async fn start_program(
        program: &Path,
        settings: &[(&str, &str)],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        // A process whose parent has left becomes ours, so that its exit code is known.
        prctl::set_child_subreaper(true).expect("becoming a subreaper");
        let scratch = Scratch::new("line");
        let name = scratch.path().join("server");
        symlink(program, &name).expect("linking the program");
        let mut command = server::command(&name, &server::SETTINGS);
        command.env("APP__HOST__PID_FILE", scratch.path().join("pid"));
        command.envs(settings.iter().copied());
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.as_std_mut().spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let logs = Logs::default();
        let stdout = ChildStdout::from_std(child.stdout.take().expect("a piped standard output"));
        let stderr = ChildStderr::from_std(child.stderr.take().expect("a piped standard error"));
        log::collect(stdout.expect("a pipe"), Logs::clone(&logs));
        log::collect(stderr.expect("a pipe"), Logs::clone(&logs));
        let pid = Pid::from_raw(child.id().try_into().expect("a process id"));
        let mut line = Self { app: ANY, admin: ANY, pids: vec![pid], logs, scratch };
        let ports = async || Some((log::listener(&line.logs, "app")?, log::listener(&line.logs, "admin")?));
        let Some(ports) = within(START, ports).await else { panic!("no listening lines; its log:\n{}", line.log()) };
        (line.app, line.admin) = ports;
        line.holds("the first process is ready", async || (line.pid_file() == Some(pid)).then_some(())).await;
        line
    }

    /// The process that serves.
    pub(crate) fn pid(&self) -> Pid {
        *self.pids.last().expect("one at least")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).expect("signalling the process that serves");
    }

    /// Restarts, and waits until the new process serves.
    pub(crate) async fn restart(&mut self) {
        self.signal(Signal::SIGUSR2);
        let old = self.pid();
        let pid = self.holds("a successor", async || self.pid_file().filter(|pid| *pid != old)).await;
        self.pids.push(pid);
    }

    /// Puts `script` in the program's place, by rename as an installation does.
    pub(crate) fn install_script(&self, script: &str) {
        let draft = self.scratch.write("draft", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("making it a program");
        fs::rename(draft, self.scratch.path().join("server")).expect("installing it");
    }

    /// Puts a link to `program` in the program's place.
    pub(crate) fn install(&self, program: &Path) {
        let draft = self.scratch.path().join("draft");
        symlink(program, &draft).expect("linking the program");
        fs::rename(draft, self.scratch.path().join("server")).expect("installing it");
    }

    /// A path in the line's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What the PID file says; none where there is none.
    pub(crate) fn pid_file(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.path("pid")).ok()?;
        Some(Pid::from_raw(text.trim_end().parse().expect("a whole number, at any time")))
    }

    /// Waits for `probe`, and tells the log where it gives nothing.
    pub(crate) async fn holds<T>(&self, what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
        let found = within(START, probe).await;
        found.unwrap_or_else(|| panic!("not within {START:?}: {what}; the log:\n{}", self.log()))
    }

    /// How many restarts ended so, as the serving process counts them.
    pub(crate) async fn attempts(&self, outcome: &str) -> u32 {
        let line = format!("host_upgrades_total{{outcome=\"{outcome}\"}} ");
        let text = http::get(self.admin, "/metrics").await.expect("metrics").text();
        let count = text.lines().find_map(|text| text.strip_prefix(&line)).expect("the series");
        count.parse().expect("a whole number")
    }

    /// Stops the process that serves, and waits for all: the exit code of each, in order.
    pub(crate) async fn stop(self) -> Vec<i32> {
        self.signal(Signal::SIGTERM);
        let mut codes = Vec::new();
        for pid in &self.pids {
            codes.push(self.exit_code(*pid).await);
        }
        codes
    }

    /// The exit code of `pid`, once it has ended; 128 and the signal where one killed it.
    pub(crate) async fn exit_code(&self, pid: Pid) -> i32 {
        let what = format!("process {pid} ends");
        self.holds(&what, async || match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as i32),
            // Its parent lives still.
            Ok(_) | Err(Errno::ECHILD) => None,
            Err(error) => panic!("waiting for {pid}: {error}"),
        })
        .await
    }

    pub(crate) fn log(&self) -> String {
        self.logs.lock().expect("the log").join("\n")
    }

    /// Waits until the log holds `text`.
    pub(crate) async fn logs(&self, text: &str) {
        self.holds(text, async || self.log().contains(text).then_some(())).await;
    }
}

/// Before it is known.
const ANY: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));

impl Drop for Line {
    fn drop(&mut self) {
        // The group is named after its first process.
        let _ = signal::killpg(self.pids[0], Signal::SIGKILL);
        for pid in &self.pids {
            let _ = waitpid(*pid, Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Waits until no process has this id any more, or none but a dead one.
pub(crate) async fn gone(pid: i32) {
    let what = format!("process {pid} is gone");
    eventually(&what, START, async || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').map_or("", |(_, rest)| rest).trim_start();
        (state.is_empty() || state.starts_with('Z')).then_some(())
    })
    .await;
}
