//! What the stand-ins share.

pub mod quotes;
pub mod usual;

use std::{io, net::SocketAddr};

use axum::serve::ListenerExt;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

/// What every server answers.
pub const BODY: &str = "Hello, World!";

/// Where to listen or to connect to: the first argument.
///
/// # Panics
/// Where it is no address.
#[must_use]
pub fn address() -> SocketAddr {
    let argument = std::env::args().nth(1).expect("the first argument is an address");
    argument.parse().expect("the first argument is an address")
}

/// One worker beside the main thread, as the service has on one CPU; or as many as tokio's own variable says.
///
/// # Errors
/// When a thread cannot be started.
pub fn runtime() -> io::Result<Runtime> {
    let workers = std::env::var("TOKIO_WORKER_THREADS").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// A listener whose connections send at once.
pub fn nodelay(listener: TcpListener) -> impl axum::serve::Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|stream| {
        // Without it only latencies would change.
        let _ = stream.set_nodelay(true);
    })
}
