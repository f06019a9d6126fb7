//! The service as a process.
//!
//! Next: `load`.

use std::{
    fmt,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;

use super::http;

/// On free ports, with a log that tells which.
const SETTINGS: [(&str, &str); 4] = [
    ("APP__SERVER__LISTEN", "http://127.0.0.1:0"),
    ("APP__ADMIN__LISTEN", "127.0.0.1:0"),
    ("APP__TELEMETRY__LOG_FORMAT", "json"),
    ("APP__TELEMETRY__ACCESS_LOG", "false"),
];

/// A start and a stop of a debug build on a busy machine take seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running service. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    /// Where its routes are.
    pub app: SocketAddr,
    /// Where probes and metrics are.
    pub admin: SocketAddr,
    child: Child,
}

impl Program {
    /// Starts the program at `path` on free ports with these settings, names as in the environment, and waits until it is
    /// ready. Nothing of the caller's environment reaches it.
    ///
    /// # Panics
    /// When it does not start, or is not ready within a minute.
    pub fn start<N, V>(path: impl AsRef<Path>, settings: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut command = Command::new(path.as_ref());
        command.env_clear().envs(SETTINGS).stdout(Stdio::piped());
        for (name, value) in settings {
            command.env(name.as_ref(), value.as_ref());
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()));
        let log = child.stdout.take().expect("its output is a pipe");
        let (app, admin) = listeners(BufReader::new(log));
        let program = Self { app, admin, child };
        program.until("it is ready", || http::get(admin, "/readyz").is_ok_and(|answer| answer.status == 200));
        program
    }

    /// Sends SIGTERM, as a platform does.
    ///
    /// # Panics
    /// When it has ended.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).expect("a process's id fits");
        signal::kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it still runs");
    }

    /// Waits for its end; the exit code, none where a signal ended it.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    #[must_use]
    pub fn wait(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn until(&self, what: impl fmt::Display, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}, process {}", self.child.id());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the two listeners are, as the log tells; the rest of it is read and dropped, so that the pipe never fills.
fn listeners(log: BufReader<ChildStdout>) -> (SocketAddr, SocketAddr) {
    let (mut app, mut admin) = (None, None);
    let mut lines = log.lines();
    while app.is_none() || admin.is_none() {
        let Some(Ok(line)) = lines.next() else { panic!("it ended before it listened; its errors stand above") };
        let Ok(said) = serde_json::from_str::<Value>(&line) else { continue };
        let place = || said["url"].as_str()?.strip_prefix("http://")?.parse().ok();
        match said["listener"].as_str().filter(|_| said["message"] == "listening") {
            Some("app") => app = place(),
            Some("admin") => admin = place(),
            _ => {}
        }
    }
    thread::spawn(move || lines.for_each(drop));
    (app.expect("an address"), admin.expect("an address"))
}
