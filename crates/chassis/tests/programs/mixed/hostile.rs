//! Peers that do not do their part: they ask what is not counted, until they are closed, and then again.

use std::{io::ErrorKind, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use super::Client;

/// 500 ms: a byte of a head or a body, or a look at whether the peer is closed.
const DRIP: Duration = Duration::from_millis(500);
/// A few KiB: what is not read waits in the server.
const NARROW: u32 = 4096;

const HEAD: &str = "GET /bait?bytes=1 HTTP/1.1\r\nhost: test\r\nx-slow: ";
const BODY: &str = "POST /bait HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n";
const LARGE: &str = "GET /bait?bytes=1000000 HTTP/1.1\r\nhost: test\r\n\r\n";

/// `slow-head`, `slow-body` or `stalled-reader`.
pub(super) async fn run(client: Client, kind: &str) {
    let (request, drips) = match kind {
        "slow-head" => (HEAD.to_owned(), true),
        "slow-body" => (BODY.to_owned(), true),
        "stalled-reader" => (LARGE.repeat(16), false),
        _ => panic!("unknown kind {kind:?}"),
    };
    while !client.stops() {
        if let Ok(stream) = connect(&client).await {
            Client::counted(&client.counts.connections);
            hold(&client, stream, &request, drips).await;
            Client::counted(&client.counts.ends);
        }
        sleep(DRIP).await;
    }
}

async fn connect(client: &Client) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(NARROW)?;
    socket.connect(client.target).await
}

/// Until the server has closed the connection.
async fn hold(client: &Client, mut stream: TcpStream, request: &str, drips: bool) {
    if stream.write_all(request.as_bytes()).await.is_err() {
        return;
    }
    let mut answer = [0; 1024];
    while !client.stops() {
        sleep(DRIP).await;
        // An answer before the whole request is a refusal, and an end follows it. Who reads nothing sees the end only when
        // it writes: an empty line, which a server skips before a request.
        let has_ended = drips && matches!(stream.try_read(&mut answer), Ok(0));
        let written = stream.try_write(if drips { b"a" } else { b"\r\n" });
        if has_ended || written.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            return;
        }
    }
}
