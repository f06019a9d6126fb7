//! Memory that peers hold: bodies in small pieces, and responses that nobody reads.

use std::time::{Duration, Instant};

use tokio::{task::JoinSet, time::interval};

use crate::{
    beside::{Healthy, ROOM_KIB, size},
    frames,
    harness::{
        at, exclusive,
        http::{Connection, Failure},
        peers,
        server::Server,
    },
    packet::packet,
    peer,
};

const SECOND: Duration = Duration::from_secs(1);
const MIB: &str = "/blob?bytes=1048576";
/// RFC 9113, section 6.10.
const CONTINUATION: u8 = 9;

/// The most resident memory in KiB while `work` runs.
async fn peak<T>(server: &Server, work: impl Future<Output = T>) -> (T, u64) {
    let (mut work, mut tick, mut peak) = (std::pin::pin!(work), interval(Duration::from_millis(5)), 0);
    loop {
        tokio::select! {
            done = &mut work => return (done, peak.max(server.resident_kib())),
            _ = tick.tick() => peak = peak.max(server.resident_kib()),
        }
    }
}

async fn start(settings: &[(&str, &str)]) -> (Server, Healthy, u64) {
    let server = Server::start_example("streams", settings).await;
    let healthy = Healthy::of(server.app, "/hello", "/echo", "a body");
    healthy.answered(2000).await;
    let before = server.resident_kib();
    (server, healthy, before)
}

fn holds(before: u64, peak: u64, beside: &str) {
    println!("beside {beside}: {before} KiB before, {peak} KiB at most");
    assert!(peak <= before + ROOM_KIB, "beside {beside}: {before} KiB before, {peak} KiB at most");
}

/// 2 MB in chunks of a byte, each of which is 6 bytes on the wire.
async fn upload(address: std::net::SocketAddr, bytes: usize, each: usize) -> u16 {
    let mut connection = Connection::open(address).await.expect("connecting");
    let head = b"POST /upload HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.send(head).await.expect("sending");
    let chunks = b"1\r\nx\r\n".repeat(each);
    for _ in 0..bytes / each {
        connection.send(&chunks).await.expect("sending");
    }
    connection.send(b"0\r\n\r\n").await.expect("sending");
    // The request's own time bounds it: a debug build takes a while for so many chunks.
    connection.receive_slowly().await.expect("an answer").status
}

async fn four_uploads(server: &Server, bytes: usize, each: usize, beside: &str, healthy: &Healthy, before: u64) {
    let mut uploads: JoinSet<_> = (0..4).map(|_| upload(server.app, bytes, each)).collect();
    let all = async {
        while let Some(status) = uploads.join_next().await {
            assert_eq!(status.expect("an upload"), 200);
        }
    };
    let ((), peak) = peak(server, all).await;
    healthy.answered(100).await;
    holds(before, peak, beside);
}

#[tokio::test]
async fn bodies_in_chunks_of_a_byte_cost_what_their_bytes_do() {
    let _turn = exclusive().await;
    // With a write for each byte, a debug build takes minutes for four times 2 MB.
    let long = [("APP__SERVER__REQUEST_TIMEOUT", "900s"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "900s")];
    let (server, healthy, before) = start(&long).await;
    // A debug build takes half a minute for four times 2 MB.
    four_uploads(&server, size(500_000, 2_000_000), 2000, "a body in chunks of a byte", &healthy, before).await;
    let bytes = size(40_000, 2_000_000);
    four_uploads(&server, bytes, 1, "chunks of a byte, each written by itself", &healthy, before).await;
    healthy.none_failed("chunks of a byte").await;
}

/// A connection whose windows stay closed, but for a stream of events.
async fn closed_windows(address: std::net::SocketAddr) -> Connection {
    let mut connection = frames::open(address, &frames::window(0)).await;
    frames::send_get_on(&mut connection, 1, "/sse").await;
    frames::open_window(&mut connection, 1, 60_000).await.expect("sending");
    for stream in (3..=u8::MAX).step_by(2) {
        frames::send_get_on(&mut connection, stream, MIB).await;
    }
    connection
}

/// Reads until all but the stream of events were reset.
async fn resets(connection: &mut Connection) {
    let mut left: Vec<u8> = (3..=u8::MAX).step_by(2).collect();
    while !left.is_empty() {
        let frame = frames::next(connection).await.expect("the connection lives on");
        if frame.kind == frames::RST_STREAM {
            assert_ne!(frame.stream, 1, "the stream of events was reset");
            left.retain(|stream| *stream != frame.stream);
        }
    }
}

#[tokio::test]
async fn closed_windows_hold_little_and_each_stalled_stream_is_reset_by_itself() {
    let _turn = exclusive().await;
    let settings = [("APP__SERVER__WRITE_TIMEOUT", "3s"), ("APP__SERVER__MAX_CONNECTION_AGE", "0")];
    let (server, healthy, before) = start(&settings).await;
    let begun = Instant::now();
    let all = async {
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(closed_windows(server.app).await);
        }
        for connection in &mut connections {
            resets(connection).await;
        }
        connections
    };
    let (mut connections, peak) = peak(&server, all).await;
    println!("the last was reset after {:?}", begun.elapsed());
    assert!(begun.elapsed() < 5 * SECOND, "the last was reset after {:?}", begun.elapsed());
    for connection in &mut connections {
        // Events that came while others were reset lie in the socket; these are of later.
        while begun.elapsed() < 6 * SECOND {
            let event = frames::next_of(connection, frames::DATA).await;
            assert_eq!((event.stream, event.payload.as_slice()), (1, b"data: tick\n\n".as_slice()));
        }
    }
    holds(before, peak, "closed windows");
    healthy.none_failed("closed windows").await;
}

/// Reads a MiB at 100 KB/s.
async fn read_on(mut reader: Connection) -> Result<(), Failure> {
    let begun = Instant::now();
    reader.send(format!("GET {MIB} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await?;
    for part in 1..=64 {
        at(begun + part * SECOND / 6).await;
        reader.receive_bytes(16 * 1024).await?;
    }
    Ok(())
}

/// At the default limits.
#[tokio::test]
async fn slow_readers_outlive_those_that_stop() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &[]).await;
    let begun = Instant::now();
    let mut slow = JoinSet::new();
    for second in 0..4 {
        at(begun + 2 * second * SECOND).await;
        for _ in 0..4 {
            slow.spawn(read_on(peers::narrow(server.app).await));
        }
    }
    at(begun + 8 * SECOND).await;
    let before = server.resident_kib();
    let mut stopped = Vec::new();
    for _ in 0..100 {
        let mut reader = peers::narrow(server.app).await;
        reader.send(format!("GET {MIB} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.expect("sending");
        stopped.push(reader);
    }
    server.series_becomes_more("http_server_connections_closed_total", "reason=\"memory\"", 80.0).await;
    holds(before, server.resident_kib(), "readers that stop beside slow ones");
    while let Some(done) = slow.join_next().await {
        assert_eq!(done.expect("a reader"), Ok(()), "a slow reader was reset");
    }
}

/// 100 readers, each of which sends `request` for a MiB to `door` and reads nothing of the answer.
async fn readers_that_stop(door: usize, request: &[u8], beside: &str) {
    let _turn = exclusive().await;
    let listen = "http://127.0.0.1:0,fastcgi://127.0.0.1:0,uwsgi://127.0.0.1:0";
    let settings = [("APP__SERVER__LISTEN", listen)];
    let (server, healthy, before) = start(&settings).await;
    let address = server.urls()[door].rsplit('/').next().expect("an authority").parse().expect("an address");
    let held = async {
        let mut readers = Vec::new();
        for _ in 0..100 {
            let mut reader = peers::narrow(address).await;
            reader.send(request).await.expect("sending");
            readers.push(reader);
        }
        readers
    };
    let (held, peak) = peak(&server, held).await;
    healthy.answered(500).await;
    let waiting = server.metric("http_server_response_waiting_bytes").await;
    let reset = server.series("http_server_connections_closed_total", "reason=\"memory\"").await;
    println!("beside {beside}: {waiting} bytes wait, {reset} were reset");
    drop(held);
    assert!(reset > 0.0, "none was reset");
    holds(before, peak.max(server.resident_kib()), beside);
    healthy.none_failed(beside).await;
}

#[tokio::test]
async fn readers_that_stop_are_reset_when_they_hold_too_much() {
    readers_that_stop(0, format!("GET {MIB} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes(), "readers that stop").await;
}

#[tokio::test]
async fn readers_that_stop_over_fastcgi_are_reset_when_they_hold_too_much() {
    readers_that_stop(1, &peer::request(1, 0, "GET", MIB), "readers that stop over FastCGI").await;
}

#[tokio::test]
async fn readers_that_stop_over_uwsgi_are_reset_when_they_hold_too_much() {
    let request = packet(0, &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", MIB)]);
    readers_that_stop(2, &request, "readers that stop over uwsgi").await;
}

/// 500 connections that have sent `bytes`.
async fn peers_that_sent(server: &Server, bytes: &[u8]) -> Vec<Connection> {
    let mut peers = Vec::new();
    for _ in 0..500 {
        let mut peer = Connection::open(server.app).await.expect("connecting");
        // What is too long is refused before its end.
        let _ = peer.send(bytes).await;
        peers.push(peer);
    }
    peers
}

/// `ended` or more connections end for their memory, which has not gone beyond `peak`.
async fn ends_heads(server: &Server, healthy: Healthy, ended: f64, (before, peak): (u64, u64), beside: &str) {
    healthy.answered(500).await;
    server.series_becomes_more("http_server_connections_closed_total", "reason=\"memory\"", ended).await;
    holds(before, peak.max(server.resident_kib()), beside);
    healthy.none_failed(beside).await;
}

/// 500 heads with `bytes` that do not end.
async fn heads_hold_little(bytes: usize, ended: f64, beside: &str) {
    let _turn = exclusive().await;
    let (server, healthy, before) = start(&[]).await;
    let head = format!("GET /hello HTTP/1.1\r\nhost: test\r\nx-long: {}", "x".repeat(bytes));
    let (_held, peak) = peak(&server, peers_that_sent(&server, head.as_bytes())).await;
    ends_heads(&server, healthy, ended, (before, peak), beside).await;
}

#[tokio::test]
async fn heads_above_their_limit_without_an_end_hold_little() {
    heads_hold_little(60 * 1024, 0.0, "500 heads of 60 KiB").await;
}

/// Each by itself is allowed: 2 MiB in all, and 8 KiB of each, leave room for 91.
#[tokio::test]
async fn many_heads_without_an_end_hold_little() {
    heads_hold_little(31 * 1024, 300.0, "500 heads of 31 KiB").await;
}

/// The same in three frames of HTTP/2, the last of which does not end the block; beside what idle connections cost.
#[tokio::test]
async fn many_header_blocks_without_an_end_hold_little() {
    let _turn = exclusive().await;
    let (server, healthy, _) = start(&[]).await;
    let first = [frames::PREFACE, &frames::raw(frames::SETTINGS, 0, 0, &[])].concat();
    let mut peers = peers_that_sent(&server, &first).await;
    server.series_becomes_more("http_server_connections", "", 500.0).await;
    let before = server.resident_kib();
    let field = [&[0, 1, b'x', 100][..], &[b'x'; 100]].concat();
    let part = field.repeat(31 * 1024 / 2 / field.len());
    let parts = [(frames::HEADERS, frames::get("/hello")), (CONTINUATION, part.clone()), (CONTINUATION, part)];
    let block: Vec<u8> = parts.iter().flat_map(|(kind, fields)| frames::raw(*kind, 0, 1, fields)).collect();
    let sent = async {
        for peer in &mut peers {
            // One that was chosen is closed.
            let _ = peer.send(&block).await;
        }
    };
    let ((), peak) = peak(&server, sent).await;
    ends_heads(&server, healthy, 300.0, (before, peak), "500 header blocks of 31 KiB").await;
}
