//! Listening sockets from `server.listen`, with the options that a server behind a balancer needs.
//!
//! It does not accept by itself; the accept loop is in [`super::server`].
//!
//! Next: [`super::server`].

mod handshakes;
pub(crate) mod unix;

pub(crate) use unix::{Access, Unix};

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::connection::Stream;

/// Something that accepts connections.
pub(crate) trait Listener: Send + 'static {
    type Stream: Stream;

    /// The next connection and its peer.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// A connection that is already waiting, if any. It queries the kernel, since the runtime's readiness may lag behind.
    fn accept_now(&mut self) -> io::Result<Option<(Self::Stream, SocketAddr)>>;

    /// The loop is about to empty the queue for the last time: no new connection may enter it from now on, where that can
    /// be had. Returns how long connections that have begun may take to enter it.
    fn retire(&mut self) -> Duration;
}

/// Which process owns a listening socket's queue and file when a restart shares it between two.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// The new process owns it: connections in the queue and the file of a Unix socket are left to it.
    pub(crate) left: AtomicBool,
    /// The old process may still serve on it: do not remove the file.
    pub(crate) lent: AtomicBool,
    /// How many other processes may have a copy of the socket and accept from it: with any, do not stop its queue.
    pub(crate) copies: AtomicUsize,
}

/// A listener of any kind.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(Tcp),
    Unix(Unix),
}

impl Bound {
    /// `socket`, and its address as written after the scheme of a URL.
    ///
    /// # Errors
    /// If the system does not return its address.
    pub(crate) fn tcp(socket: Tcp) -> io::Result<(Self, String)> {
        let shown = format!("://{}", socket.local_addr()?);
        Ok((Self::Tcp(socket), shown))
    }

    /// Its address, unless it is a Unix socket.
    pub(crate) fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// `socket`, which has `path`, and what to show of it.
    pub(crate) fn unix(socket: Unix, path: &Path) -> (Self, String) {
        (Self::Unix(socket), format!("+unix://{}", path.display()))
    }
}

/// A TCP socket that listens.
#[derive(Debug)]
pub(crate) struct Tcp {
    socket: TcpListener,
    share: Arc<Share>,
    /// Bound by a replica; otherwise the service manager has it too, and goes on with it.
    is_ours: bool,
}

impl Tcp {
    /// Listens on the bound `socket`; without a backlog it is already listening. `share` says later
    /// whether its queue belongs to a new process. Call it inside a runtime.
    ///
    /// # Errors
    /// The system's error, such as address in use.
    pub(crate) fn listen(socket: Socket, backlog: Option<u32>, share: Arc<Share>) -> io::Result<Self> {
        let is_ours = backlog.is_some();
        if let Some(backlog) = backlog {
            socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        }
        TcpListener::from_std(socket.into()).map(|socket| Self { socket, share, is_ours })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Listener for Tcp {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.socket.accept().await?;
        tune(&stream);
        Ok((stream, peer))
    }

    fn accept_now(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        if self.share.left.load(Relaxed) {
            return Ok(None);
        }
        match SockRef::from(&self.socket).accept() {
            Ok((socket, peer)) => {
                socket.set_nonblocking(true)?;
                let stream = TcpStream::from_std(socket.into())?;
                tune(&stream);
                let peer = peer.as_socket().ok_or_else(|| io::Error::other("a peer without an address"))?;
                Ok(Some((stream, peer)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A connection that is established between the last look at the queue and the close would be reset, with a request
    /// in it. So the kernel drops each SYN from here on: that client tries again after a second, is refused, and has
    /// sent nothing.
    fn retire(&mut self) -> Duration {
        let is_anothers = !self.is_ours || self.share.left.load(Relaxed) || self.share.copies.load(Relaxed) > 0;
        // Without the filter there is nothing to wait for: the queue fills as fast as it is emptied.
        if is_anothers || handshakes::stop(&self.socket).is_err() {
            return Duration::ZERO;
        }
        handshakes::LAST
    }
}

/// `host:port` of a listen URL.
pub(crate) fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

/// A socket bound to `host:port` that does not listen yet; `[::]` is dual-stack, and `0.0.0.0` where the host has no
/// IPv6.
///
/// # Errors
/// The system's error, such as address in use, not available or not permitted.
pub(crate) fn bind(authority: &str) -> io::Result<Socket> {
    let address = resolve(authority)?;
    match bind_to(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            bind_to((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn resolve(authority: &str) -> io::Result<SocketAddr> {
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "the host name resolves to no address");
    authority.to_socket_addrs()?.next().ok_or_else(none)
}

fn bind_to(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    // A restart may bind while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

/// 60 s idle, then a probe every 15 s, four times: a peer that vanished is noticed within two minutes.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(15)).with_retries(4);

/// 128 KiB: with more than that unsent, the socket is not writable. The kernel's own rule is a third of a buffer that
/// grows to megabytes: a slow reader's progress would show once a minute, and look like none. With this it shows each 64 KiB.
const UNSENT: u32 = 128 * 1024;

/// A failure to set options is not fatal, and a closed socket is noticed later.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE);
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(authority: &str) -> io::Result<Tcp> {
        Tcp::listen(bind(authority)?, Some(16), Arc::default())
    }

    #[tokio::test]
    async fn a_connection_that_waits_is_accepted_now() {
        let mut listener = listening("127.0.0.1:0").expect("binds");
        assert!(listener.accept_now().expect("no error").is_none());
        let address = listener.local_addr().expect("bound");
        let client = std::net::TcpStream::connect(address).expect("connects");
        let (_, peer) = listener.accept_now().expect("no error").expect("a connection waits");
        assert_eq!(peer, client.local_addr().expect("connected"));
    }

    #[tokio::test]
    async fn a_queue_that_was_left_to_a_successor_is_not_emptied() {
        let share = Arc::<Share>::default();
        let socket = bind("127.0.0.1:0").expect("binds");
        let mut listener = Tcp::listen(socket, Some(16), Arc::clone(&share)).expect("listens");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        share.left.store(true, Relaxed);
        assert!(listener.accept_now().expect("no error").is_none());
        share.left.store(false, Relaxed);
        assert!(listener.accept_now().expect("no error").is_some());
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = listening("127.0.0.1:0").expect("binds");
        let taken = first.local_addr().expect("bound").to_string();
        assert_eq!(listening(&taken).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_socket_that_another_process_has_goes_on_accepting() {
        let ours = |share: Share| Tcp::listen(bind("127.0.0.1:0")?, Some(16), Arc::new(share));
        let managers = || {
            let socket = bind("127.0.0.1:0")?;
            socket.listen(16)?;
            Tcp::listen(socket, None, Arc::default())
        };
        let copied = ours(Share { copies: 1.into(), ..Share::default() });
        let left = ours(Share { left: true.into(), ..Share::default() });
        for listener in [copied, left, managers()] {
            let mut listener = listener.expect("listens");
            assert_eq!(listener.retire(), Duration::ZERO);
            let address = listener.local_addr().expect("bound");
            std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("connects");
        }
    }

    #[tokio::test]
    async fn waiting_input_is_seen_without_the_runtime() {
        use std::io::Write;
        let mut listener = listening("127.0.0.1:0").expect("binds");
        let mut client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        let (stream, _) = listener.accept_now().expect("no error").expect("a connection waits");
        assert!(!stream.has_input());
        client.write_all(b"GET").expect("writes");
        assert!(stream.has_input());
    }
}
