//! Just enough of HTTP/2 to see its frames come and go (RFC 9113).

use std::net::SocketAddr;

use crate::harness::http::Connection;

// Section 6.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(super) struct Frame {
    kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u8,
    pub(super) payload: Vec<u8>,
}

/// A connection with prior knowledge; `settings` are pairs of an identifier (2 bytes) and a value (4 bytes).
pub(super) async fn open(address: SocketAddr, settings: &[u8]) -> Connection {
    let mut connection = Connection::open(address).await.expect("connecting");
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sending the preface");
    send(&mut connection, SETTINGS, 0, 0, settings).await;
    connection
}

/// A GET on stream 1.
pub(super) async fn send_get(connection: &mut Connection, path: &str) {
    send(connection, HEADERS, END_STREAM | END_HEADERS, 1, &get(path)).await;
}

/// The fields of a GET (RFC 7541): indexed method and scheme, literal path and authority.
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x04, path), (0x01, "test")] {
        block.extend([name, u8::try_from(value.len()).expect("a short value")]);
        block.extend(value.as_bytes());
    }
    block
}

async fn send(connection: &mut Connection, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u8::try_from(payload.len()).expect("a short frame");
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    connection.send(&frame).await.expect("sending a frame");
}

/// The next frame of `kind`; on the way to it settings and pings are acknowledged.
pub(super) async fn next_of(connection: &mut Connection, kind: u8) -> Frame {
    loop {
        let head = connection.receive_bytes(9).await.expect("a frame");
        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
        let payload = connection.receive_bytes(length).await.expect("its payload");
        let frame = Frame { kind: head[3], flags: head[4], stream: head[8], payload };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let answer = if frame.kind == PING { frame.payload.as_slice() } else { &[] };
            send(connection, frame.kind, ACK, 0, answer).await;
        }
        if frame.kind == kind {
            return frame;
        }
    }
}
