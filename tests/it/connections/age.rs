//! Connections that are past their age: told so at different times, and none with a request lost.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Barrier, task::JoinSet};

use crate::harness::{at, http::Connection, server::Server, shared};

const AGE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn connections_of_one_age_close_over_a_spread_of_it_and_lose_nothing() {
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTION_AGE", "2s")]).await;
    let together = Arc::new(Barrier::new(200));
    let mut clients = JoinSet::new();
    for number in 0..200 {
        clients.spawn(until_told_to_close(server.app, Arc::clone(&together), number));
    }
    let mut ages = clients.join_all().await;
    ages.sort();
    let (first, last) = (ages[0], ages[199]);
    println!("200 connections of {AGE:?} closed between {first:?} and {last:?}");
    assert!(first >= AGE.mul_f32(0.88), "too early: {first:?}");
    assert!(last <= AGE.mul_f32(1.25), "too late: {last:?}");
    assert!(last - first >= AGE.mul_f32(0.15), "all at once: {first:?} to {last:?}");
}

/// Asks every 100 ms; the age at which a response said close. Panics where any request is lost.
async fn until_told_to_close(address: SocketAddr, together: Arc<Barrier>, number: u32) -> Duration {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut connection = Connection::open(address).await.expect("connecting");
    together.wait().await;
    let begun = Instant::now();
    // Not in step with the others, as the steps would show in the spread.
    let offset = PAUSE / 200 * number;
    for round in 0.. {
        at(begun + offset + PAUSE * round).await;
        let response = connection.get("/whoami").await.expect("a response");
        assert_eq!(response.status, 200);
        if response.closes() {
            break;
        }
    }
    let age = begun.elapsed();
    assert!(connection.ended_within(Duration::from_secs(1)).await.is_some(), "still open after it said close");
    age
}

#[tokio::test]
async fn an_http2_connection_gets_goaway_at_its_age_and_finishes_its_requests() {
    let _turn = shared().await;
    let settings = [("APP__SERVER__MAX_CONNECTION_AGE", "1s"), ("APP__SERVER__REQUEST_TIMEOUT", "4s")];
    let server = Server::start_example("streams", &settings).await;
    let begun = Instant::now();
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sending");
    send_frame(&mut connection, SETTINGS, 0, 0, &[]).await;
    send_frame(&mut connection, HEADERS, END_STREAM | END_HEADERS, 1, &get("/slow?ms=2500")).await;

    assert_eq!(next_of(&mut connection, GOAWAY).await.flags, 0);
    let told = begun.elapsed();
    // 0.9 to 1.1 of the age, and a margin for a busy machine.
    assert!((0.88..1.5).contains(&told.as_secs_f32()), "GOAWAY after {told:?}");

    let head = next_of(&mut connection, HEADERS).await;
    // 0x88: the indexed field `:status: 200` (RFC 7541, appendix A).
    assert_eq!((head.stream, head.payload[0]), (1, 0x88));
    let body = next_of(&mut connection, DATA).await;
    assert_eq!(body.payload, b"slow\n");
    assert!(connection.ended_within(Duration::from_secs(2)).await.is_some(), "open with nothing left to do");
    super::closes(&server, "age", 1.0).await;
}

// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u8,
    payload: Vec<u8>,
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

async fn send_frame(connection: &mut Connection, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u8::try_from(payload.len()).expect("a short frame");
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    connection.send(&frame).await.expect("sending a frame");
}

/// The next frame of `kind`; on the way to it settings and pings are acknowledged.
async fn next_of(connection: &mut Connection, kind: u8) -> Frame {
    loop {
        let head = connection.receive_bytes(9).await.expect("a frame");
        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
        let payload = connection.receive_bytes(length).await.expect("its payload");
        let frame = Frame { kind: head[3], flags: head[4], stream: head[8], payload };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let answer = if frame.kind == PING { frame.payload.as_slice() } else { &[] };
            send_frame(connection, frame.kind, ACK, 0, answer).await;
        }
        if frame.kind == kind {
            return frame;
        }
    }
}
