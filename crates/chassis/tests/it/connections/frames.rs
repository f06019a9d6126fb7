//! Just enough of HTTP/2 to see its frames come and go (RFC 9113).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::harness::{
    at,
    http::{Connection, Failure},
};

// Section 6.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_HEADERS: u8 = 4;

pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u8,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The last frame of a response.
    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The status of a head that h2 writes by its index (RFC 7541, appendix A).
    pub(super) fn status(&self) -> Option<u16> {
        let indexed = [200, 204, 206, 304, 400, 404, 500];
        indexed.get(usize::from(*self.payload.first()?).checked_sub(0x88)?).copied()
    }

    /// The head of a response with status 200. 0x88: the indexed field `:status: 200` (RFC 7541, appendix A).
    pub(super) fn is_ok(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&0x88)
    }
}

/// A connection with prior knowledge; `settings` are pairs of an identifier (2 bytes) and a value (4 bytes).
pub(super) async fn open(address: SocketAddr, settings: &[u8]) -> Connection {
    open_over(Connection::open(address).await.expect("connecting"), settings).await
}

/// The same over a connection that is there already.
pub(super) async fn open_over(mut connection: Connection, settings: &[u8]) -> Connection {
    connection.send(PREFACE).await.expect("sending the preface");
    send(&mut connection, SETTINGS, 0, 0, settings).await.expect("sending settings");
    connection
}

/// `SETTINGS_INITIAL_WINDOW_SIZE` (4): how much of each body the peer takes before it says more.
pub(super) fn window(bytes: u32) -> Vec<u8> {
    [&[0, 4], bytes.to_be_bytes().as_slice()].concat()
}

/// A GET on stream 1.
pub(super) async fn send_get(connection: &mut Connection, path: &str) {
    send_get_on(connection, 1, path).await;
}

pub(super) async fn send_get_on(connection: &mut Connection, stream: u8, path: &str) {
    let sent = send(connection, HEADERS, END_STREAM | END_HEADERS, stream, &get(path)).await;
    sent.expect("sending a request");
}

/// The peer may send `bytes` more on `stream`, or in all on 0.
pub(super) async fn open_window(connection: &mut Connection, stream: u8, bytes: u32) -> Result<(), Failure> {
    send(connection, WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()).await
}

/// A frame of any stream, as bytes.
pub(super) fn raw(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(super) fn get(path: &str) -> Vec<u8> {
    request(0x82, path)
}

/// The fields of a request (RFC 7541): indexed method (GET 0x82, POST 0x83) and scheme, literal path and authority.
pub(super) fn request(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![method, 0x86];
    for (name, value) in [(0x04, path), (0x01, "test")] {
        block.extend([name, u8::try_from(value.len()).expect("a short value")]);
        block.extend(value.as_bytes());
    }
    block
}

async fn send(connection: &mut Connection, kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Result<(), Failure> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    connection.send(&frame).await
}

/// The next frame; settings and pings are acknowledged.
pub(super) async fn next(connection: &mut Connection) -> Result<Frame, Failure> {
    let head = connection.receive_bytes(9).await?;
    let length = usize::from(head[1]) * 256 + usize::from(head[2]);
    let payload = connection.receive_bytes(length).await?;
    let frame = Frame { kind: head[3], flags: head[4], stream: head[8], payload };
    if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
        let answer = if frame.kind == PING { frame.payload.as_slice() } else { &[] };
        send(connection, frame.kind, ACK, 0, answer).await?;
    }
    Ok(frame)
}

/// The next frame of `kind`.
pub(super) async fn next_of(connection: &mut Connection, kind: u8) -> Frame {
    loop {
        let frame = next(connection).await.expect("a frame");
        if frame.kind == kind {
            return frame;
        }
    }
}

/// Every frame until the connection ends, and how it ended.
pub(super) async fn rest(connection: &mut Connection) -> (Vec<Frame>, Failure) {
    let mut frames = Vec::new();
    loop {
        match next(connection).await {
            Ok(frame) => frames.push(frame),
            Err(failure) => return (frames, failure),
        }
    }
}

/// What a slow reader got of one response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) bytes: usize,
    pub(super) goaways: usize,
    /// None: the response came to its end.
    pub(super) failure: Option<Failure>,
}

/// Reads a response with a `pause` after each frame of it, and lets the peer send as much again.
pub(super) async fn take_slowly(connection: &mut Connection, pause: Duration) -> Taken {
    let mut taken = Taken::default();
    taken.failure = take_into(connection, pause, &mut taken).await.err();
    taken
}

async fn take_into(connection: &mut Connection, pause: Duration, taken: &mut Taken) -> Result<(), Failure> {
    loop {
        let frame = next(connection).await?;
        taken.goaways += usize::from(frame.kind == GOAWAY);
        if frame.kind != DATA {
            continue;
        }
        taken.bytes += frame.payload.len();
        if frame.ends_stream() {
            return Ok(());
        }
        at(Instant::now() + pause).await;
        let length = u32::try_from(frame.payload.len()).expect("a frame's length");
        for stream in [0, frame.stream] {
            open_window(connection, stream, length).await?;
        }
    }
}
