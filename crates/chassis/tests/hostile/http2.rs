//! HTTP/2 peers that stop in the middle of a frame, or send frames that ask for nothing but an answer.

use std::time::Duration;

use crate::{
    beside::{Healthy, Memory, held, size},
    frames,
    harness::{
        exclusive,
        http::{Connection, Failure},
        server::Server,
    },
};

const SETTINGS: [u8; 9] = frame(0, 4, 0, 0);
const PING: u8 = 6;

/// What a peer may hold back: everything but what is listed came.
const HALVES: [(&str, &[u8]); 5] = [
    ("no SETTINGS", &[]),
    ("half of SETTINGS", &[0, 0, 0, 4]),
    ("half a frame's header", &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, PING]),
    ("half a frame", &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
    // HEADERS with two fields and without END_HEADERS.
    ("half a header block", &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 1, 1, 0, 0, 0, 1, 0x82, 0x86]),
];

/// A frame's header (RFC 9113, section 4.1).
const fn frame(length: u8, kind: u8, flags: u8, stream: u8) -> [u8; 9] {
    [0, 0, length, kind, flags, 0, 0, 0, stream]
}

#[tokio::test]
async fn what_stays_half_ends_at_the_header_timeout() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__SERVER__HEADER_TIMEOUT", "2s")]).await;
    let healthy = Healthy::start(server.app);
    healthy.answered(500).await;
    let memory = Memory::of(&server);
    let (each, mut all) = (size(10, 200), Vec::new());
    for (what, rest) in HALVES {
        all.extend(
            held(server.app, each, &[frames::PREFACE, rest].concat()).await.into_iter().map(|peer| (what, peer)),
        );
    }
    for (what, peer) in &mut all {
        // It reads what the server says; 2 s and 1 s, and as much again for a busy machine.
        assert!(peer.ended_within(Duration::from_secs(6)).await.is_some(), "still open: {what}");
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    server.series_becomes("http_server_connections_closed_total", "reason=\"header_timeout\"", all.len() as f64).await;
    memory.holds(&server, "half frames");
    healthy.none_failed("half frames").await;
}

/// Frames of one header block come, one after the other, and the last of them never: each is whole.
#[tokio::test]
async fn frames_of_a_header_block_win_no_time() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__SERVER__HEADER_TIMEOUT", "2s")]).await;
    let mut peer = frames::open(server.app, &[]).await;
    let header = [&frame(2, 1, 1, 1)[..], &[0x82, 0x86]].concat();
    peer.send(&header).await.expect("sending");
    // An empty CONTINUATION every 700 ms: fewer than h2 takes for one block.
    let mut sent = 0;
    while peer.ended_within(Duration::from_millis(700)).await.is_none() {
        sent += 1;
        assert!(sent < 8, "still open after {sent} frames");
        if peer.send(&frame(0, 9, 0, 1)).await.is_err() {
            break;
        }
    }
    server.series_becomes("http_server_connections_closed_total", "reason=\"header_timeout\"", 1.0).await;
}

/// `server.min_rate` is what bounds a body: this one has twice that.
#[tokio::test]
async fn a_data_frame_may_take_longer_than_the_header_timeout() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__SERVER__HEADER_TIMEOUT", "1s")]).await;
    let mut peer = frames::open(server.app, &[]).await;
    // POST /v1/quotes with a literal content-type, which the app reads the body for.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(0x04, "/v1/quotes"), (0x01, "test"), (0x1f, "application/json")] {
        // Literal, not indexed, the name by its number: 31 is one more than the prefix of a byte holds.
        block.extend(if name == 0x1f { vec![0x0f, 0x10] } else { vec![name] });
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.bytes());
    }
    peer.send(&[&frame(u8::try_from(block.len()).unwrap(), 1, 4, 1)[..], &block].concat()).await.expect("sending");
    let body = crate::beside::QUOTE.as_bytes();
    peer.send(&frame(u8::try_from(body.len()).unwrap(), 0, frames::END_STREAM, 1)).await.expect("sending");
    let start = std::time::Instant::now();
    for (at, piece) in body.chunks(body.len() / 5).enumerate() {
        crate::harness::at(start + Duration::from_millis(400) * u32::try_from(at).unwrap()).await;
        peer.send(piece).await.expect("sending");
    }
    assert!(frames::next_of(&mut peer, frames::HEADERS).await.is_ok(), "not answered with 200");
}

/// A body that nobody reads has no timer of its own: once the connection is idle, half a frame of it is half a frame.
#[tokio::test]
async fn half_a_data_frame_that_nobody_reads_ends_at_the_header_timeout() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__SERVER__HEADER_TIMEOUT", "1s"), ("APP__SERVER__BODY_TIMEOUT", "1s")]).await;
    let mut peer = frames::open(server.app, &[]).await;
    frames::send_get(&mut peer, "/whoami").await;
    assert!(frames::next_of(&mut peer, frames::HEADERS).await.is_ok());
    // For a stream that is over; the first half is no error yet, as h2 reads frames whole.
    peer.send(&[&frame(100, 0, 0, 1)[..], b"half"].concat()).await.expect("sending");
    assert!(peer.ended_within(Duration::from_secs(5)).await.is_some(), "still open");
    server.series_becomes("http_server_connections_closed_total", "reason=\"header_timeout\"", 1.0).await;
}

/// A thousand are free, and 100 a second: 3,000 at once are a flood, of whatever kind.
#[tokio::test]
async fn a_flood_of_frames_that_carry_nothing_ends_its_connection() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let healthy = Healthy::start(server.app);
    healthy.answered(500).await;
    let memory = Memory::of(&server);
    let kinds: [(&str, Vec<u8>); 5] = [
        ("PING", [&frame(8, PING, 0, 0)[..], &[7; 8]].concat()),
        ("SETTINGS", SETTINGS.to_vec()),
        ("PRIORITY", [&frame(5, 2, 0, 9)[..], &[0, 0, 0, 1, 16]].concat()),
        ("WINDOW_UPDATE", [&frame(4, 8, 0, 0)[..], &[0, 0, 0, 1]].concat()),
        ("unknown", frame(0, 0x42, 0, 0).to_vec()),
    ];
    for (number, (what, frame)) in kinds.iter().enumerate() {
        let mut peer = frames::open(server.app, &[]).await;
        // It may be closed before all is sent.
        let _ = peer.send(&frame.repeat(3000)).await;
        assert!(peer.ended_within(Duration::from_secs(5)).await.is_some(), "still open: {what}");
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let ended = number as f64 + 1.0;
        server.series_becomes("http_server_connections_closed_total", "reason=\"flood\"", ended).await;
    }
    memory.holds(&server, "floods of frames");
    healthy.none_failed("floods of frames").await;
}

/// h2 alone ends a connection at the 101st, so an upload that flushes often would cost the others behind a proxy theirs.
#[tokio::test]
async fn empty_parts_of_bodies_end_no_connection() {
    let _turn = exclusive().await;
    let server = Server::start_example("streams", &[]).await;
    let mut peer = frames::open(server.app, &[]).await;
    for stream in [1, 3, 5] {
        let request = frames::raw(frames::HEADERS, 4, stream, &frames::request(0x83, "/upload"));
        let hollow = frames::raw(frames::DATA, 0, stream, &[]).repeat(150);
        let end = frames::raw(frames::DATA, frames::END_STREAM, stream, b"a");
        peer.send(&[request, hollow, end].concat()).await.expect("sending");
        assert!(frames::next_of(&mut peer, frames::HEADERS).await.is_ok(), "stream {stream}");
    }
}

/// A client that measures the path (gRPC) sends a PING for what it receives, and many update their windows for each frame.
#[tokio::test]
async fn frames_that_go_with_requests_are_no_flood() {
    let _turn = exclusive().await;
    let server = Server::start(&[("APP__SERVER__MAX_CONNECTION_AGE", "0s")]).await;
    let mut peer = frames::open(server.app, &[]).await;
    let ping = [&frame(8, PING, 0, 0)[..], &[7; 8]].concat();
    for request in 0..127 {
        frames::send_get_on(&mut peer, 2 * request + 1, "/whoami").await;
        peer.send(&ping.repeat(18)).await.expect("sending");
        while !frames::next(&mut peer).await.expect("a frame").ends_stream() {}
    }
    assert!(server.series("http_server_connections_closed_total", "reason=\"flood\"").await < 0.5);
}

/// `max_pending_accept_reset_streams` of h2 is our limit of streams, 250. Each reset comes with its request in one write.
#[tokio::test]
async fn h2_bounds_requests_that_are_reset_at_once() {
    const LAST: u32 = 1_999;
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let mut peer = frames::open(server.app, &[]).await;
    let mut bytes = Vec::new();
    for stream in (1..=LAST).step_by(2) {
        bytes.extend(frames::raw(frames::HEADERS, 5, stream, &frames::get("/whoami")));
        bytes.extend(frames::raw(frames::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // It may be closed before all is sent.
    let _ = peer.send(&bytes).await;
    let (goaway, last) = calmed(&mut peer).await;
    assert_eq!(goaway, Some(11), "not ENHANCE_YOUR_CALM");
    server.series_becomes("http_server_connections_closed_total", "reason=\"flood\"", 1.0).await;
    assert!(last < LAST, "all {} were taken", LAST.div_ceil(2));
}

/// h2 takes 5 CONTINUATION frames, or a quarter more than the longest head needs.
#[tokio::test]
async fn h2_bounds_the_frames_of_a_header_block() {
    let _turn = exclusive().await;
    let server = Server::start(&[]).await;
    let mut peer = frames::open(server.app, &[]).await;
    peer.send(&[&frame(2, 1, 1, 1)[..], &[0x82, 0x86]].concat()).await.expect("sending");
    let _ = peer.send(&frame(0, 9, 0, 1).repeat(200)).await;
    assert_eq!(calmed(&mut peer).await.0, Some(11), "not ENHANCE_YOUR_CALM");
}

/// The error code of the last GOAWAY, if one came, and the last stream that it names.
async fn calmed(peer: &mut Connection) -> (Option<u8>, u32) {
    let (frames, end): (Vec<frames::Frame>, Failure) = frames::rest(peer).await;
    println!("{} frames, then {end:?}", frames.len());
    let goaway = frames.iter().rfind(|frame| frame.kind == frames::GOAWAY);
    let last = |payload: &[u8]| payload[..4].iter().fold(0, |last, byte| last << 8 | u32::from(*byte));
    goaway.map_or((None, 0), |frame| (Some(frame.payload[7]), last(&frame.payload)))
}
