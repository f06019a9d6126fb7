//! The new process, seen from the old one.
//!
//! Next: [`super::super::absent`], the stub without the feature.

use std::time::Duration;

use nix::{
    sys::signal::{Signal::SIGTERM, kill},
    unistd::Pid,
};
use tokio::{process::Child, time::timeout};

use super::{
    super::{
        link::{Link, STARTED},
        sockets::Copies,
    },
    Failure,
};

/// The new process; terminated on drop unless released.
pub(super) struct Successor {
    /// Its parent, which ends with its exit code, kills it on SIGTERM, and leaves it alone when killed itself.
    pub(super) between: Option<Child>,
    pub(super) link: Link,
    pub(super) pid: Option<u32>,
    /// It may have its own connections: it is asked to drain them.
    pub(super) accepts: bool,
    /// Until it has ended, or has taken over.
    pub(super) copies: Option<Copies>,
}

impl Successor {
    /// Waits for the message `word` and returns its arguments.
    pub(super) async fn says(&mut self, word: &str) -> Result<String, Failure> {
        loop {
            let Ok(line) = self.link.hear().await else { return Err(self.ended().await) };
            let (said, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if said == STARTED {
                self.pid = rest.parse().ok();
                tracing::info!(successor = self.pid, "the new process is starting");
            }
            if said == word {
                return Ok(rest.to_owned());
            }
            if said != STARTED {
                return Err(Failure::Confused);
            }
        }
    }

    /// Its end of the link is closed: it has ended, or is about to.
    async fn ended(&mut self) -> Failure {
        let Some(between) = &mut self.between else { return Failure::Confused };
        between.wait().await.map_or_else(Failure::Spawn, Failure::Exited)
    }

    /// Releases it to the service manager. Returns its id, which it or its parent sent before.
    pub(super) async fn let_go(&mut self) -> Result<u32, Failure> {
        if self.pid.is_none() {
            self.says(STARTED).await?;
        }
        let mut between = self.between.take().ok_or(Failure::Confused)?;
        between.kill().await.map_err(Failure::Spawn)?;
        self.pid.ok_or(Failure::Confused)
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let Some(mut between) = self.between.take() else { return };
        // A process that was waited for has no id any more.
        let Some(parent) = between.id() else { return };
        let (pid, copies) = (self.pid.filter(|_| self.accepts), self.copies.take());
        // It drains like any replica, within its own timeouts.
        terminate(pid.unwrap_or(parent));
        tokio::spawn(async move {
            if pid.is_some() && timeout(DRAIN, between.wait()).await.is_err() {
                terminate(parent);
            }
            // Its sockets are ours alone from here on, and the queue of a later stop is emptied for good.
            let _ = between.wait().await;
            drop(copies);
        });
    }
}

/// 60 s: more than a drain with the default settings takes.
const DRAIN: Duration = Duration::from_mins(1);

fn terminate(pid: u32) -> bool {
    let Ok(id) = i32::try_from(pid) else { return false };
    let ended = kill(Pid::from_raw(id), SIGTERM);
    if let Err(error) = ended {
        tracing::warn!(%error, pid, "cannot terminate the new process");
    }
    ended.is_ok()
}

#[cfg(test)]
mod tests {
    use std::{io, os::unix::net::UnixStream, process::Stdio, sync::atomic::Ordering::Relaxed};

    use tokio::process::Command;

    use super::*;
    use crate::{
        host::{passed::Passed, sockets::Sockets},
        listener::{Listener, Tcp},
    };

    const URL: &str = "http://127.0.0.1:0";

    /// Sockets with one listener, and a new process that has a copy of it: `script`.
    fn shared(script: &str) -> (Sockets, Tcp, Successor) {
        let sockets = Sockets::prepare(&[URL.to_owned()], &mut Passed::nothing(), false);
        let listener = sockets.listen(URL, 16).expect("listens");
        let (_, copies) = sockets.for_successor().expect("handles");
        let between = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).spawn().expect("starts");
        let (ours, _) = UnixStream::pair().expect("a pair");
        let link = Link::new(ours).expect("a link");
        let successor = Successor { between: Some(between), link, pid: None, accepts: false, copies: Some(copies) };
        (sockets, listener, successor)
    }

    /// Waits until a stop would end the socket's handshakes.
    async fn is_ours_alone(sockets: &Sockets) -> io::Result<()> {
        let copies = || sockets.shares().iter().map(|share| share.copies.load(Relaxed)).sum::<usize>();
        let gone = async {
            while copies() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), gone).await.map_err(io::Error::other)
    }

    #[tokio::test]
    async fn a_failed_restart_leaves_a_stop_as_it_was_before() {
        for script in ["exec sleep 60", "exit 1"] {
            let (sockets, mut listener, mut successor) = shared(script);
            assert_eq!(listener.retire(), Duration::ZERO, "the new process may accept: {script}");
            if script == "exit 1" {
                assert!(matches!(successor.ended().await, Failure::Exited(_)));
            }
            drop(successor);
            is_ours_alone(&sockets).await.expect(script);
            assert!(listener.retire() > Duration::ZERO, "{script}");
        }
    }

    #[tokio::test]
    async fn a_second_attempt_is_not_counted_out_by_the_end_of_the_first() {
        let (sockets, mut listener, first) = shared("exec sleep 60");
        let (_, second) = sockets.for_successor().expect("handles");
        drop(first);
        let copies = || sockets.shares()[0].copies.load(Relaxed);
        let one = async {
            while copies() != 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), one).await.expect("the first is gone");
        assert_eq!(listener.retire(), Duration::ZERO);
        drop(second);
        assert!(listener.retire() > Duration::ZERO);
    }
}
