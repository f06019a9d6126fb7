//! Host steps of a start and a stop, in the order in which a replica calls them.
//!
//! ```text
//! prepare   sockets are taken or bound, privileges dropped; no thread runs yet
//! announce  metrics, the watchdog
//! bind      a prepared socket listens
//! turn      a new process waits here until it is ready and the old one lets it accept
//! started   the PID file, READY, a message to the old process
//! stopping  STOPPING; the sockets are released
//! ```
//!
//! Next: [`super::passed`].

use std::{io, path::Path, sync::Mutex};

use nix::unistd::geteuid;
use prometheus::Registry;

use super::{
    Settings,
    passed::Passed,
    pid_file::PidFile,
    privileges,
    sockets::Sockets,
    successor::Predecessor,
    systemd::{self, Notice},
    upgrade::Attempts,
};
use crate::{
    admin::Heartbeat,
    listener::{Access, Bound, Tcp},
    process::{Environment, Invocation, StartError},
};

/// The host state of this process.
pub(crate) struct Host {
    pub(super) settings: Settings,
    pub(super) sockets: Sockets,
    /// None in the first process of a series of restarts.
    pub(super) predecessor: Option<Predecessor>,
    pub(super) pid_file: Option<PidFile>,
    pub(super) invocation: Invocation,
    pub(super) attempts: Attempts,
    /// Names of inherited descriptors that no setting uses.
    unused: Mutex<Vec<String>>,
}

#[expect(clippy::unused_self, reason = "a host without a service manager has nobody to tell")]
impl Host {
    /// Takes or binds a listener for each of `urls`, and then drops privileges. Call it before any thread starts: the first changes
    /// the environment, the second holds for all threads only where there is one.
    ///
    /// # Errors
    /// Privileges that cannot be dropped, a PID file that cannot be written. A socket that cannot be bound is an error
    /// of [`bind`](Self::bind), where there is a log.
    pub(crate) fn prepare(settings: &Settings, urls: &[String], environment: &Environment) -> Result<Self, StartError> {
        let settings = settings.clone();
        let invocation = Invocation::capture();
        let mut passed = Passed::take(environment);
        let predecessor =
            passed.link().map_err(|error| StartError::new("opening the link to the old process", error))?;
        let sockets = Sockets::prepare(urls, &mut passed, predecessor.is_some());
        if predecessor.is_some() {
            passed.close_rest();
        }
        privileges::drop(&settings)?;
        let pid_file = settings.pid_file.as_ref().map(PidFile::prepare).transpose()?;
        Ok(Self {
            settings,
            sockets,
            predecessor: predecessor.map(Predecessor::new),
            pid_file,
            invocation,
            attempts: Attempts::new(),
            unused: Mutex::new(passed.unused()),
        })
    }

    /// The host state of a replica among others in its process: `settings.host` does not apply, privileges and inherited
    /// descriptors are the process's.
    pub(crate) fn shared(urls: &[String]) -> Self {
        Self {
            settings: Settings::default(),
            sockets: Sockets::prepare(urls, &mut Passed::nothing(), false),
            predecessor: None,
            pid_file: None,
            invocation: Invocation::capture(),
            attempts: Attempts::new(),
            unused: Mutex::default(),
        }
    }

    /// Registers the metrics and starts the watchdog on the current runtime.
    pub(crate) fn announce(&self, registry: &Registry, heartbeat: &Heartbeat) -> Result<(), prometheus::Error> {
        for name in self.unused.lock().expect("the names").drain(..) {
            tracing::warn!(name, "an inherited descriptor matches no URL of server.listen");
        }
        if geteuid().is_root() {
            tracing::warn!("running as root; set host.user");
        }
        systemd::watch(heartbeat.clone());
        self.attempts.register(registry)
    }

    /// The prepared socket of `url`, listening. Call it inside a runtime.
    ///
    /// # Errors
    /// The system's error for the address, or that no such descriptor was inherited.
    pub(crate) fn bind(&self, url: &str, backlog: u32) -> io::Result<Tcp> {
        self.sockets.listen(url, backlog)
    }

    /// The prepared socket of `url`, listening; a Unix socket where it has a `path`. Call it inside a runtime.
    ///
    /// # Errors
    /// The system's error for the address, the path or the permissions, or that no such descriptor was inherited.
    pub(crate) fn open(
        &self,
        url: &str,
        path: Option<&Path>,
        access: &Access<'_>,
        backlog: u32,
    ) -> io::Result<(Bound, String)> {
        self.sockets.open(url, path, access, backlog)
    }

    /// Settings are read again.
    pub(crate) fn reloading(&self) {
        systemd::tell(Notice::Reloading);
    }

    /// The reload is complete, successful or not.
    pub(crate) fn reloaded(&self) {
        systemd::tell(Notice::Ready);
    }

    /// A drain without a new process begins: the sockets close with the accept loops.
    pub(crate) fn stopping(&self) {
        systemd::tell(Notice::Stopping);
        self.sockets.let_go();
    }
}
