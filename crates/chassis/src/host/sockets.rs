//! The listeners of this process: inherited or bound before privileges are dropped, and kept for a new process.
//!
//! A Unix socket that is not inherited is bound later: it needs write access to the directory, not privileges.
//!
//! Next: [`super::privileges`].

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

use socket2::Socket;

use super::passed::{Passed, name_of, name_with_id, standard_input};
use crate::{
    listener::{self, Access, Bound, Share, Tcp, Unix, authority, unix},
    values::listen::{self, Address},
};

/// Sockets by the URL that they listen on.
#[derive(Default)]
pub(super) struct Sockets {
    prepared: Mutex<Vec<Prepared>>,
    kept: Mutex<Vec<Kept>>,
    /// Whether an old process may have them too.
    inherits: bool,
}

struct Prepared {
    url: String,
    socket: io::Result<Owned>,
}

/// The owner of a socket and of its backlog.
enum Owned {
    /// Ours, by `server.backlog`.
    Ours(Socket),
    /// A Unix socket of ours, with the backlog that it had at its place.
    Placed(Socket),
    /// The socket unit's.
    Activated(Socket),
    /// A Unix socket that is to be bound.
    Later,
}

/// A second handle of a listening socket.
struct Kept {
    name: String,
    socket: Socket,
    share: Arc<Share>,
}

impl Sockets {
    /// Takes inherited sockets for `urls`, and binds the rest.
    pub(super) fn prepare(urls: &[String], passed: &mut Passed, inherits: bool) -> Self {
        let prepared = urls.iter().map(|url| Prepared { url: url.clone(), socket: socket(url, passed, inherits) });
        Self { prepared: Mutex::new(prepared.collect()), kept: Mutex::default(), inherits }
    }

    /// The TCP socket of `url`, listening.
    pub(super) fn listen(&self, url: &str, backlog: u32) -> io::Result<Tcp> {
        let (socket, backlog) = match self.take(url)? {
            Owned::Ours(socket) => (socket, Some(backlog)),
            Owned::Activated(socket) | Owned::Placed(socket) => (socket, None),
            Owned::Later => return Err(unprepared()),
        };
        let share = self.keep(name_of(url), &socket)?;
        Tcp::listen(socket, backlog, share)
    }

    /// The socket of `url` and of `path`, if it has one, listening.
    pub(super) fn open(
        &self,
        url: &str,
        path: Option<&Path>,
        access: &Access<'_>,
        backlog: u32,
    ) -> io::Result<(Bound, String)> {
        let Some(path) = path else { return self.open_passed(url, backlog) };
        let inherited = match self.take(url)? {
            Owned::Placed(socket) => Some(socket),
            _ => None,
        };
        let is_lent = inherited.is_some();
        let socket = match inherited {
            Some(socket) => access.grant(path).map(|()| socket),
            None => unix::bind(path, access, backlog),
        }?;
        let share = self.keep(name_with_id(url, unix::id(path)?), &socket)?;
        share.lent.store(is_lent, Relaxed);
        Ok(Bound::unix(Unix::listen(socket, Some(path), share)?, path))
    }

    /// An inherited descriptor may be of either kind.
    fn open_passed(&self, url: &str, backlog: u32) -> io::Result<(Bound, String)> {
        let path = match lock(&self.prepared).iter().find(|prepared| prepared.url == url).map(|found| &found.socket) {
            Some(Ok(Owned::Activated(socket))) => socket.local_addr()?.as_pathname().map(Path::to_owned),
            _ => None,
        };
        let Some(path) = path else { return Bound::tcp(self.listen(url, backlog)?) };
        let Owned::Activated(socket) = self.take(url)? else { return Err(unprepared()) };
        let share = self.keep(name_of(url), &socket)?;
        Ok(Bound::unix(Unix::listen(socket, None, share)?, &path))
    }

    fn take(&self, url: &str) -> io::Result<Owned> {
        let mut waiting = lock(&self.prepared);
        let at = waiting.iter().position(|prepared| prepared.url == url);
        waiting.remove(at.ok_or_else(unprepared)?).socket
    }

    fn keep(&self, name: String, socket: &Socket) -> io::Result<Arc<Share>> {
        let share = Arc::<Share>::default();
        share.copies.store(self.inherits.into(), Relaxed);
        lock(&self.kept).push(Kept { name, socket: socket.try_clone()?, share: Arc::clone(&share) });
        Ok(share)
    }

    /// A handle of each listening socket with its name, for a new process, and the count of these copies.
    pub(super) fn for_successor(&self) -> io::Result<(Vec<(String, OwnedFd)>, Copies)> {
        let copy = |kept: &Kept| Ok((kept.name.clone(), kept.socket.try_clone()?.into()));
        let handles = lock(&self.kept).iter().map(copy).collect::<io::Result<_>>()?;
        Ok((handles, Copies::count(self.shares())))
    }

    /// The names of the listening sockets.
    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.kept).iter().map(|kept| kept.name.clone()).collect()
    }

    /// The shared flags of each, to record later that no other process has it.
    pub(super) fn shares(&self) -> Vec<Arc<Share>> {
        lock(&self.kept).iter().map(|kept| Arc::clone(&kept.share)).collect()
    }

    /// Leaves the sockets called `names` to the new process that shares them: their queues, and the files of those that
    /// have one.
    pub(super) fn leave<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut kept = lock(&self.kept);
        for name in names {
            if let Some(at) = kept.iter().position(|kept| kept.name == name) {
                kept.remove(at).share.left.store(true, Relaxed);
            }
        }
    }

    /// Drops the second handles: a listener closes with its accept loop.
    pub(super) fn let_go(&self) {
        lock(&self.kept).clear();
    }
}

/// The copies that a new process has of the listening sockets; dropped when it is gone, or has its own.
pub(super) struct Copies(Vec<Arc<Share>>);

impl Copies {
    fn count(shares: Vec<Arc<Share>>) -> Self {
        for share in &shares {
            share.copies.fetch_add(1, Relaxed);
        }
        Self(shares)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        for share in &self.0 {
            share.copies.fetch_sub(1, Relaxed);
        }
    }
}

fn socket(url: &str, passed: &mut Passed, inherits: bool) -> io::Result<Owned> {
    let address = listen::parse(url).map(|listen| listen.address);
    if let Ok(Address::Unix(path)) = address {
        // Without its file it is unreachable: then it is bound again.
        let name = unix::id(&path).ok().filter(|_| inherits).map(|id| name_with_id(url, id));
        let inherited = name.map_or(Ok(None), |name| passed.named(&name))?;
        return inherited.map_or(Ok(Owned::Later), |socket| listening(socket).map(Owned::Placed));
    }
    let wanted = if let Ok(Address::Passed(name)) = address { Some(name) } else { None };
    if inherits && let Some(socket) = passed.named(&name_of(url))? {
        let socket = listening(socket)?;
        return Ok(if wanted.is_some() { Owned::Activated(socket) } else { Owned::Ours(socket) });
    }
    let Some(wanted) = wanted else { return listener::bind(authority(url)).map(Owned::Ours) };
    let found = match wanted.parse() {
        Ok(0) if !inherits && passed.is_empty() => standard_input()?,
        // Only the service manager passes by position; an old process passes by name.
        Ok(at) if !inherits => passed.numbered(at)?,
        _ => passed.named(&wanted)?,
    };
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, "no descriptor of this name was inherited (LISTEN_FDNAMES)");
    listening(found.ok_or_else(missing)?).map(Owned::Activated)
}

fn unprepared() -> io::Error {
    io::Error::other("no socket was prepared for it")
}

fn listening(socket: Socket) -> io::Result<Socket> {
    if !socket.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the inherited descriptor is not listening"));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
