//! Clients that hold a connection and do not do their part.

use std::{net::SocketAddr, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpSocket, time::interval};

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

async fn sends_and_never_reads(address: SocketAddr, requests: &str) -> Connection {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small receive buffer");
    let mut connection = Connection::over(socket.connect(address).await.expect("connecting"));
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
