//! Clients that hold a connection and do not do their part.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket},
    task::AbortHandle,
    time::interval,
};

use super::http::Connection;

/// Connects and says nothing.
pub(crate) async fn silent(address: SocketAddr) -> Connection {
    Connection::open(address).await.expect("connecting")
}

/// Sends the first 16 of the 24 bytes that open an HTTP/2 connection.
pub(crate) async fn half_a_preface(address: SocketAddr) -> Connection {
    let mut connection = silent(address).await;
    connection.send(b"PRI * HTTP/2.0\r\n").await.expect("sending");
    connection
}

/// A request line, and then no end of the head.
pub(crate) async fn half_a_head(address: SocketAddr) -> Connection {
    let mut connection = silent(address).await;
    connection.send(b"GET /whoami HTTP/1.1\r\nhost: test\r\nx-slow: ").await.expect("sending");
    connection
}

/// A head that promises a body of 1,000 bytes, and none of it.
pub(crate) async fn half_a_body(address: SocketAddr) -> Connection {
    let mut connection = silent(address).await;
    let head =
        b"POST /v1/quotes HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    connection.send(head).await.expect("sending");
    connection
}

/// Asks for 16 MiB, more than all buffers on the way hold, and reads none of it.
pub(crate) async fn never_reads(address: SocketAddr) -> Connection {
    let request = "GET /v1/work?bytes=262144 HTTP/1.1\r\nhost: test\r\n\r\n";
    sends_and_never_reads(address, &request.repeat(64)).await
}

/// Asks for `path` with a receive buffer of a few KiB, and reads nothing until the caller does.
pub(crate) async fn reads_later(address: SocketAddr, path: &str) -> Connection {
    sends_and_never_reads(address, &format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await
}

/// Connects with a receive buffer of a few KiB, so that what is not read waits in the server's socket.
pub(crate) async fn narrow(address: SocketAddr) -> Connection {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small receive buffer");
    Connection::over(socket.connect(address).await.expect("connecting"))
}

async fn sends_and_never_reads(address: SocketAddr, requests: &str) -> Connection {
    let mut connection = narrow(address).await;
    connection.send(requests.as_bytes()).await.expect("sending");
    connection
}

/// Goes on with a byte at each `pause`, until the peer answers or closes; then gives back the connection.
pub(crate) async fn drip(mut connection: Connection, pause: Duration) -> Connection {
    let mut ticks = interval(pause);
    loop {
        tokio::select! {
            _ = connection.stream.readable() => return connection,
            _ = ticks.tick() => {}
        }
        if connection.stream.write_all(b"a").await.is_err() {
            return connection;
        }
    }
}

/// A service that answers every request with a 500, and keeps what it was asked.
pub(crate) struct Upstream {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    accepting: AbortHandle,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding an upstream");
        let address = listener.local_addr().expect("a bound address");
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let accepting = tokio::spawn(refuse_all(listener, Arc::clone(&heads))).abort_handle();
        Self { address, heads, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads that came, with header names in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("the heads").clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn refuse_all(listener: TcpListener, heads: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut connection = Connection::over(stream);
        let mut head = String::new();
        while let Ok(line) = connection.read_line().await {
            let is_end = line.trim().is_empty();
            head += &line;
            if is_end {
                break;
            }
        }
        heads.lock().expect("the heads").push(head);
        let refusal = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = connection.send(refusal).await;
    }
}
