//! The old process in a restart: SIGUSR2 starts the program again, and this process serves until that one does.
//!
//! The program is looked up by the name that this process was started by, so it may have been replaced; it gets the
//! same arguments and environment, and the listeners. If anything fails, this process keeps serving, and the failure is
//! logged and counted. One restart at a time; none as process 1, whose exit ends the container.
//!
//! Next: [`child`].

mod child;

use std::{
    convert::Infallible,
    fmt,
    future::pending,
    io,
    os::unix::net::UnixStream,
    process::{self, ExitStatus},
    time::Duration,
};

use command_fds::{CommandFdExt, FdMapping};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use child::Successor;

use super::{
    link::{ACCEPTING, GO, Link, PREPARED, YOURS},
    passed::LINK,
    present::Host,
    supervisor::{MARK, NOT_STARTED},
    systemd::{self, Notice},
};

/// SIGUSR2.
pub(crate) struct Asked(Option<Signal>);

impl Asked {
    pub(crate) fn new() -> io::Result<Self> {
        signal(SignalKind::user_defined2()).map(|signal| Self(Some(signal)))
    }

    /// That of a replica among others in its process: it cannot be restarted alone.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => pending().await,
        }
    }
}

/// Why there was no restart.
#[derive(Debug)]
enum Failure {
    Refused(&'static str),
    Spawn(io::Error),
    Exited(ExitStatus),
    TimedOut(Duration),
    /// It runs, but sent an unexpected message.
    Confused,
}

/// 78: `EX_CONFIG`, as in [`crate::replica::Exit`].
const BAD_SETTINGS: i32 = 78;

impl Failure {
    const LABELS: [&str; 5] = ["refused", "not_started", "bad_settings", "exited", "timed_out"];

    fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Spawn(_) => "not_started",
            Self::Exited(status) if status.code() == Some(NOT_STARTED) => "not_started",
            Self::Exited(status) if status.code() == Some(BAD_SETTINGS) => "bad_settings",
            Self::Exited(_) | Self::Confused => "exited",
            Self::TimedOut(_) => "timed_out",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Spawn(error) => write!(f, "cannot start the program: {error}"),
            Self::Exited(status) if status.code() == Some(BAD_SETTINGS) => {
                f.write_str("the new process rejected its settings; its output names them")
            }
            Self::Exited(status) if status.code() == Some(NOT_STARTED) => {
                f.write_str("cannot start the program; its output says why")
            }
            // A shell's code: 128 and the signal, where one killed it.
            Self::Exited(status) => write!(f, "the new process exited before it was ready: {status}"),
            Self::TimedOut(bound) => write!(f, "the new process was not ready within {bound:?} and was terminated"),
            Self::Confused => f.write_str("the new process sent an unexpected message"),
        }
    }
}

/// `host_upgrades_total`.
pub(super) struct Attempts(IntCounterVec);

impl Attempts {
    pub(super) fn new() -> Self {
        let opts = Opts::new("host_upgrades_total", "Restarts requested by SIGUSR2, by outcome.");
        let attempts = IntCounterVec::new(opts, &["outcome"]).expect("a valid metric");
        for label in Failure::LABELS.iter().chain(&["handed_over"]) {
            attempts.with_label_values(&[label]);
        }
        Self(attempts)
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.0.clone()))
    }

    fn count(&self, label: &str) {
        self.0.with_label_values(&[label]).inc();
    }
}

impl Host {
    /// Resolves when a new process serves instead of this one.
    pub(crate) async fn handed_over(&self, asked: &mut Asked) {
        loop {
            asked.next().await;
            match self.upgrade(asked).await {
                Ok(pid) => {
                    self.attempts.count("handed_over");
                    tracing::info!(successor = pid, "handed over");
                    return;
                }
                Err(failure) => self.tell(&failure),
            }
        }
    }

    /// A process that is stopping starts no other.
    pub(crate) async fn refuse_upgrades(&self, asked: &mut Asked) -> Infallible {
        loop {
            asked.next().await;
            self.tell(&Failure::Refused("this process is already stopping"));
        }
    }

    fn tell(&self, failure: &Failure) {
        self.attempts.count(failure.label());
        tracing::error!(outcome = failure.label(), "restart failed; this process keeps serving: {failure}");
    }

    async fn upgrade(&self, asked: &mut Asked) -> Result<u32, Failure> {
        if process::id() == 1 {
            return Err(Failure::Refused("process 1 cannot restart: its exit would end the container"));
        }
        systemd::tell(Notice::Reloading);
        let exchanged = {
            let exchange = self.exchange();
            tokio::pin!(exchange);
            loop {
                tokio::select! {
                    exchanged = &mut exchange => break exchanged,
                    () = asked.next() => self.tell(&Failure::Refused("a restart is already in progress")),
                }
            }
        };
        if exchanged.is_err() {
            systemd::tell(Notice::Ready);
        }
        exchanged
    }

    /// Starts the new process, and waits until it accepts.
    async fn exchange(&self) -> Result<u32, Failure> {
        let (ours, theirs) = UnixStream::pair().map_err(Failure::Spawn)?;
        let link = Link::new(ours).map_err(Failure::Spawn)?;
        let mut successor = self.spawn(link, theirs).map_err(Failure::Spawn)?;
        let bound = self.settings.upgrade_timeout.get();
        let late = |_| Failure::TimedOut(bound);
        let names = timeout(bound, successor.says(PREPARED)).await.map_err(late)??;
        successor.accepts = true;
        // If the message cannot be delivered, the exit status says more.
        let _ = successor.link.say(GO).await;
        timeout(bound, successor.says(ACCEPTING)).await.map_err(late)??;
        let pid = successor.let_go().await?;
        systemd::tell(Notice::MainIs(pid));
        self.sockets.leave(names.split(' '));
        self.sockets.let_go();
        // If it is not delivered, stale files remain, which the next start replaces.
        let _ = successor.link.say(YOURS).await;
        Ok(pid)
    }

    /// The old program again, which starts the new one: see [`super::supervisor`].
    fn spawn(&self, link: Link, theirs: UnixStream) -> io::Result<Successor> {
        let (mut descriptors, copies) = self.sockets.for_successor()?;
        descriptors.push((LINK.to_owned(), theirs.into()));
        let names: Vec<_> = descriptors.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0(&self.invocation.program)
            .args(&self.invocation.arguments)
            .env(MARK, "1")
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            // They refer to this process; without them the new process takes the inherited descriptors.
            .env_remove("LISTEN_PID")
            .env_remove("WATCHDOG_PID");
        let mappings = (3..).zip(descriptors).map(|(child_fd, (_, parent_fd))| FdMapping { parent_fd, child_fd });
        command.as_std_mut().fd_mappings(mappings.collect()).map_err(io::Error::other)?;
        Ok(Successor { between: Some(command.spawn()?), link, pid: None, accepts: false, copies: Some(copies) })
    }
}
