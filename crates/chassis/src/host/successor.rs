//! The new process in a restart: it becomes ready beside the old one, and accepts when that one sends `go`.
//!
//! If the old one dies meanwhile, the new one continues: it has the listeners too.
//!
//! Next: [`super::link`].

use std::{
    io,
    os::unix::net::UnixStream,
    process,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::Mutex;

use super::{
    link::{ACCEPTING, GO, Link, PREPARED, YOURS},
    present::Host,
    systemd::{self, Notice},
};
use crate::listener::Share;

/// 20 ms: delay of a restart after the last check passed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The old process, seen from the new one.
pub(super) struct Predecessor(Mutex<End>);

enum End {
    /// No runtime exists yet.
    Stream(UnixStream),
    Link(Link),
    Gone,
}

impl Predecessor {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(End::Stream(stream)))
    }

    /// Sends `prepared`, and waits for `go`.
    async fn ask(&self, names: &[String]) -> io::Result<()> {
        let mut end = self.0.lock().await;
        let End::Stream(stream) = std::mem::replace(&mut *end, End::Gone) else { return Ok(()) };
        let mut link = Link::new(stream)?;
        link.say(&[&[PREPARED.to_owned()], names].concat().join(" ")).await?;
        match link.hear().await? {
            word if word == GO => *end = End::Link(link),
            _ => return Err(io::Error::other("unexpected message from the old process")),
        }
        Ok(())
    }

    /// Sends `accepting`. None if the old process is gone.
    async fn confirm(&self) -> Option<Link> {
        let End::Link(mut link) = std::mem::replace(&mut *self.0.lock().await, End::Gone) else { return None };
        link.say(ACCEPTING).await.ok().map(|()| link)
    }
}

impl Host {
    /// Whether there is an old process, which serves until this process accepts.
    pub(crate) fn succeeds(&self) -> bool {
        self.predecessor.is_some()
    }

    /// A new process waits here until `ready` holds, and until the old process lets it accept.
    pub(crate) async fn turn(&self, ready: impl Fn() -> bool) {
        let Some(predecessor) = &self.predecessor else { return };
        while !ready() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if let Err(error) = predecessor.ask(&self.sockets.names()).await {
            tracing::warn!(%error, "the old process has exited; taking over without it");
        }
    }

    /// This process accepts: it writes the PID file and notifies the old process and the service manager.
    pub(crate) async fn started(&self) {
        if let Some(Err(error)) = self.pid_file.as_ref().map(super::pid_file::PidFile::publish) {
            tracing::error!(%error, key = "host.pid_file", "cannot replace the PID file");
        }
        let Some(predecessor) = &self.predecessor else { return systemd::tell(Notice::Ready) };
        let shares = self.sockets.shares();
        if let Some(link) = predecessor.confirm().await {
            // The service manager accepts messages only from the old process while it exists.
            tokio::spawn(inherit(link, shares));
        } else {
            own(&shares);
            systemd::tell(Notice::MainIs(process::id()));
        }
    }
}

/// Waits for the old process's last message. Without it, the old process may still be serving: then the
/// files stay, and the next start replaces them.
async fn inherit(mut link: Link, shares: Vec<Arc<Share>>) {
    if link.hear().await.is_ok_and(|word| word == YOURS) {
        own(&shares);
    }
}

fn own(shares: &[Arc<Share>]) {
    for share in shares {
        share.lent.store(false, Relaxed);
        // That of the old process; a new one may have another.
        share.copies.fetch_sub(1, Relaxed);
    }
}
