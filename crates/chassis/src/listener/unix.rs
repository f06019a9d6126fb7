//! A Unix socket that accepts.
//!
//! The socket is created under a temporary name, given its mode and owner, and renamed: no peer ever sees it with
//! other permissions, and a stale socket without a listener is replaced atomically. It is
//! removed when the listener stops, unless the file was replaced meanwhile, or another process has the socket.
//!
//! Next: [`crate::server`].

use std::{
    fs,
    io::{self, ErrorKind},
    net::{Ipv4Addr, Shutdown, SocketAddr},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use nix::unistd::{Group, User};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::{Listener, Share};

/// A bound Unix socket.
#[derive(Debug)]
pub(crate) struct Unix {
    listener: UnixListener,
    place: Option<SocketFile>,
    share: Arc<Share>,
}

/// The file of our socket, identified by device and inode.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: Id,
}

/// A file's device and inode.
pub(crate) type Id = (u64, u64);

/// Who may connect.
#[derive(Debug)]
pub(crate) struct Access<'a> {
    /// In octal, as `0660`.
    pub(crate) mode: &'a str,
    /// `user`, `user:group` or `:group`, as names or numbers.
    pub(crate) owner: Option<&'a str>,
}

/// Peers on a Unix socket have no address and count as loopback. The file mode controls who may connect.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Unix {
    /// `socket`, which listens. Its file at `path` goes with it, unless another process has the socket, as `share` says;
    /// without one, the file is the service manager's. Call it inside a runtime.
    ///
    /// # Errors
    /// When the runtime cannot take it, or the file is gone.
    pub(crate) fn listen(socket: Socket, path: Option<&Path>, share: Arc<Share>) -> io::Result<Self> {
        let place =
            path.map(|path| Ok::<_, io::Error>(SocketFile { path: path.to_owned(), id: id(path)? })).transpose()?;
        UnixListener::from_std(socket.into()).map(|listener| Self { listener, place, share })
    }
}

/// A socket that listens at `path`.
///
/// # Errors
/// `AddrInUse` where a server listens there; what the system says of the path, the mode or the owner.
pub(crate) fn bind(path: &Path, access: &Access<'_>, backlog: u32) -> io::Result<Socket> {
    refuse_if_taken(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&beside)?)?;
    let placed = access
        .grant(&beside)
        .and_then(|()| socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(socket)
}

impl Listener for Unix {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, SocketAddr)> {
        Ok((self.listener.accept().await?.0, PEER))
    }

    fn accept_now(&mut self) -> io::Result<Option<(UnixStream, SocketAddr)>> {
        if self.share.left.load(Relaxed) {
            return Ok(None);
        }
        match SockRef::from(&self.listener).accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(true)?;
                Ok(Some((UnixStream::from_std(socket.into())?, PEER)))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// New peers no longer find it, and one that has found it is refused; queued connections are still accepted.
    fn retire(&mut self) -> Duration {
        let Some(place) = self.place.take() else { return Duration::ZERO };
        let is_anothers = self.share.left.load(Relaxed) || self.share.lent.load(Relaxed);
        if !is_anothers && id(&place.path).is_ok_and(|id| id == place.id) {
            let _ = fs::remove_file(&place.path);
        }
        if !is_anothers && self.share.copies.load(Relaxed) == 0 {
            // It fails only where there is nothing to stop.
            let _ = SockRef::from(&self.listener).shutdown(Shutdown::Read);
        }
        Duration::ZERO
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Access<'_> {
    /// Sets mode and owner of the file at `path` if they differ: a process that inherits a socket may lack the
    /// right to.
    ///
    /// # Errors
    /// An unknown owner, or the system's error.
    pub(crate) fn grant(&self, path: &Path) -> io::Result<()> {
        let invalid = |what: &str| io::Error::new(ErrorKind::InvalidInput, what.to_owned());
        let mode = u32::from_str_radix(self.mode, 8).map_err(|_| invalid("the mode is not octal"))?;
        if let Some(owner) = self.owner {
            let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
            let user = resolve(user, |name| Ok(User::from_name(name)?.map(|user| user.uid.as_raw())))?;
            let group = resolve(group, |name| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw())))?;
            let now = fs::symlink_metadata(path)?;
            if user.is_some_and(|user| user != now.uid()) || group.is_some_and(|group| group != now.gid()) {
                chown(path, user, group)?;
            }
        }
        if fs::symlink_metadata(path)?.permissions().mode() & 0o7777 == mode {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
}

/// A number, or a name that the system knows; none where it is empty.
fn resolve(name: &str, find: impl Fn(&str) -> nix::Result<Option<u32>>) -> io::Result<Option<u32>> {
    if name.is_empty() {
        return Ok(None);
    }
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let unknown = || io::Error::new(ErrorKind::NotFound, format!("no user or group `{name}`"));
    find(name)?.map(Some).ok_or_else(unknown)
}

/// Only a socket without a listener may be replaced.
fn refuse_if_taken(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Non-blocking: a full queue also has a listener.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock) => Err(error),
        _ => Err(io::Error::new(ErrorKind::AddrInUse, "another process is listening on it")),
    }
}

/// Identifies a file.
pub(crate) fn id(path: &Path) -> io::Result<Id> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
