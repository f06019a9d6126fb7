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
        if !is_anothers && !self.share.copied.load(Relaxed) {
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
mod tests {
    use super::*;

    const OURS: Access<'_> = Access { mode: "0640", owner: None };

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = Path::new("/tmp").join(format!("unix-{:x}", fastrand::u64(..)));
            fs::create_dir(&path).expect("a folder");
            Self(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("app.sock")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn bind(folder: &Folder) -> io::Result<Unix> {
        shared(folder, Share::default())
    }

    fn shared(folder: &Folder, share: Share) -> io::Result<Unix> {
        let socket = super::bind(&folder.socket(), &OURS, 16)?;
        Unix::listen(socket, Some(&folder.socket()), Arc::new(share))
    }

    #[tokio::test]
    async fn it_has_its_mode_accepts_and_is_removed_at_the_end() {
        let folder = Folder::new();
        let mut listener = bind(&folder).expect("binds");
        let mode = fs::metadata(folder.socket()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let _client = std::os::unix::net::UnixStream::connect(folder.socket()).expect("connects");
        listener.retire();
        assert!(!folder.socket().exists());
        assert!(listener.accept_now().expect("no error").is_some(), "what waited is still accepted");
        assert!(listener.accept_now().expect("no error").is_none());
        assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn a_retired_socket_refuses_who_had_found_it_unless_another_process_has_it() {
        for copied in [false, true] {
            let folder = Folder::new();
            let mut listener = shared(&folder, Share { copied: copied.into(), ..Share::default() }).expect("binds");
            // A second name keeps it in reach, as a peer has it that looked the name up just before.
            let found = folder.0.join("found.sock");
            fs::hard_link(folder.socket(), &found).expect("links");
            let _early = std::os::unix::net::UnixStream::connect(&found).expect("connects");
            listener.retire();
            assert!(listener.accept_now().expect("no error").is_some());
            let late = std::os::unix::net::UnixStream::connect(&found).map_err(|error| error.kind());
            assert_eq!(late.err(), (!copied).then_some(ErrorKind::ConnectionRefused), "copied: {copied}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_somebody_listens_on_is_left_alone() {
        let folder = Folder::new();
        let _first = bind(&folder).expect("binds");
        let error = bind(&folder).expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(folder.socket().exists());
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced() {
        let folder = Folder::new();
        drop(std::os::unix::net::UnixListener::bind(folder.socket()).expect("binds"));
        assert!(folder.socket().exists(), "std leaves it behind");
        let _second = bind(&folder).expect("replaces");
        std::os::unix::net::UnixStream::connect(folder.socket()).expect("connects");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = Folder::new();
        fs::write(folder.socket(), "precious").expect("writes");
        let error = bind(&folder).expect_err("a file");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(folder.socket()).expect("still there"), "precious");
    }

    #[tokio::test]
    async fn another_ones_socket_is_not_removed() {
        let folder = Folder::new();
        let first = bind(&folder).expect("binds");
        fs::remove_file(folder.socket()).expect("removes");
        let _second = bind(&folder).expect("binds");
        drop(first);
        assert!(folder.socket().exists());
    }

    #[tokio::test]
    async fn a_socket_that_another_process_has_keeps_its_file() {
        for (left, lent) in [(true, false), (false, true), (true, true)] {
            let folder = Folder::new();
            drop(shared(&folder, Share { left: left.into(), lent: lent.into(), copied: lent.into() }).expect("binds"));
            assert!(folder.socket().exists(), "left: {left}, lent: {lent}");
        }
    }

    #[tokio::test]
    async fn an_owner_nobody_knows_is_an_error() {
        let folder = Folder::new();
        let access = Access { mode: "0640", owner: Some("no-such-user-here") };
        let error = super::bind(&folder.socket(), &access, 16).expect_err("unknown");
        assert!(error.to_string().contains("no-such-user-here"), "{error}");
        assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 0, "nothing is left behind");
    }
}
