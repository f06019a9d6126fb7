//! The listeners of this process: taken or bound before privileges go, and kept for a successor.
//!
//! Next: [`super::privileges`].

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use socket2::Socket;

use super::passed::{Passed, name_of};
use crate::chassis::listener::{self, Tcp, authority};

/// Sockets by the URL that they listen on.
#[derive(Default)]
pub(super) struct Sockets {
    prepared: Mutex<Vec<Prepared>>,
    kept: Mutex<Vec<Kept>>,
}

struct Prepared {
    url: String,
    socket: io::Result<Owned>,
}

/// Whose backlog a socket has.
enum Owned {
    /// Ours, by `server.backlog`.
    Ours(Socket),
    /// The socket unit's.
    Activated(Socket),
}

/// A second handle of a listening socket.
struct Kept {
    name: String,
    socket: Socket,
    left: Arc<AtomicBool>,
}

impl Sockets {
    /// Takes what was passed for `urls`, and binds the rest.
    pub(super) fn prepare<'a>(urls: impl Iterator<Item = &'a String>, passed: &mut Passed, inherits: bool) -> Self {
        let prepared = urls.map(|url| Prepared { url: url.clone(), socket: socket(url, passed, inherits) });
        Self { prepared: Mutex::new(prepared.collect()), kept: Mutex::default() }
    }

    /// The socket of `url`, listening.
    pub(super) fn listen(&self, url: &str, backlog: u32) -> io::Result<Tcp> {
        let prepared = {
            let mut waiting = lock(&self.prepared);
            let at = waiting.iter().position(|prepared| prepared.url == url);
            waiting.remove(at.ok_or_else(|| io::Error::other("no socket was prepared for it"))?)
        };
        let (socket, backlog) = match prepared.socket? {
            Owned::Ours(socket) => (socket, Some(backlog)),
            Owned::Activated(socket) => (socket, None),
        };
        let (kept, left) = (socket.try_clone()?, Arc::new(AtomicBool::new(false)));
        lock(&self.kept).push(Kept { name: name_of(url), socket: kept, left: Arc::clone(&left) });
        Tcp::listen(socket, backlog, left)
    }

    /// A handle of each listening socket with its name, for a successor.
    pub(super) fn for_successor(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let copy = |kept: &Kept| Ok((kept.name.clone(), kept.socket.try_clone()?.into()));
        lock(&self.kept).iter().map(copy).collect()
    }

    /// The names of the listening sockets.
    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.kept).iter().map(|kept| kept.name.clone()).collect()
    }

    /// Leaves the queues of the sockets called `names` to the successor that has them too.
    pub(super) fn leave<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut kept = lock(&self.kept);
        for name in names {
            if let Some(at) = kept.iter().position(|kept| kept.name == name) {
                kept.remove(at).left.store(true, Relaxed);
            }
        }
    }

    /// Drops the second handles: a listener closes with its accept loop.
    pub(super) fn let_go(&self) {
        lock(&self.kept).clear();
    }
}

fn socket(url: &str, passed: &mut Passed, inherits: bool) -> io::Result<Owned> {
    if inherits && let Some(listener) = passed.named(&name_of(url))? {
        let socket = listening(listener.into())?;
        return Ok(if descriptor(url).is_some() { Owned::Activated(socket) } else { Owned::Ours(socket) });
    }
    let Some(wanted) = descriptor(url) else { return listener::bind(authority(url)).map(Owned::Ours) };
    let found = match wanted.parse() {
        // Positions are the service manager's; a predecessor passes by name only.
        Ok(at) if !inherits => passed.numbered(at)?,
        _ => passed.named(wanted)?,
    };
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no descriptor of this name was passed (LISTEN_FDNAMES)");
    listening(found.ok_or_else(missing)?.into()).map(Owned::Activated)
}

/// What `http+fd://NAME` asks for.
fn descriptor(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    scheme.to_ascii_lowercase().ends_with("+fd").then(|| rest.trim_end_matches('/'))
}

fn listening(socket: Socket) -> io::Result<Socket> {
    if !socket.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor that was passed does not listen"));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
