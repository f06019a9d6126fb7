//! HTTP/2, where many requests share a connection: none of them pays for another, nor for the connection's end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{
    closes,
    frames::{self, Taken},
};
use crate::harness::{
    http::{Connection, Failure},
    peers,
    server::Server,
    shared,
};

const SECOND: Duration = Duration::from_secs(1);

/// Many frames from a single buffer of the handler: h2 holds it long after the handler is done.
const LENGTH: usize = 1_000_000;

/// Time for a slow reader.
const PATIENT: [(&str, &str); 2] = [("APP__SERVER__REQUEST_TIMEOUT", "9s"), ("APP__LIFECYCLE__DRAIN_TIMEOUT", "10s")];

/// With settings of its own after those of [`PATIENT`].
async fn start(own: &[(&str, &str)]) -> Server {
    Server::start_example("streams", &[&PATIENT, own].concat()).await
}

/// One whose window holds back the response in h2, and one whose response lies in the socket when h2 is done: what it
/// acknowledges meanwhile must not be answered with a reset.
#[tokio::test]
async fn a_response_on_its_way_at_the_connections_age_arrives_whole() {
    let _turn = shared().await;
    let settings = [&PATIENT[..], &[("APP__SERVER__MAX_CONNECTION_AGE", "1s")]].concat();
    let server = Server::start(&settings).await;
    let pause = Duration::from_millis(30);
    let (in_h2, in_socket) = tokio::join!(aged_reader(&server, 16 * 1024, pause), aged_reader(&server, 8 << 20, pause));
    for taken in [in_h2, in_socket] {
        assert!(taken.goaways > 0, "not told of its age: {taken:?}");
        assert_eq!((taken.bytes, taken.failure), (LENGTH, None));
    }
}

/// Its response begins after the age of 1 s.
async fn aged_reader(server: &Server, window: u32, pause: Duration) -> Taken {
    let mut connection = frames::open_over(peers::narrow(server.app).await, &frames::window(window)).await;
    frames::open_window(&mut connection, 0, window).await.unwrap();
    frames::send_get(&mut connection, &format!("/v1/work?bytes={LENGTH}&sleep_ms=1500")).await;
    frames::take_slowly(&mut connection, pause).await
}

/// 16 KiB every 100 ms: 6 s for what the handler had ready at once.
#[tokio::test]
async fn a_slow_reader_gets_all_of_its_response_over_a_drain() {
    let _turn = shared().await;
    let mut server = start(&[]).await;
    let mut connection = frames::open(server.app, &frames::window(16 * 1024)).await;
    frames::send_get(&mut connection, &format!("/blob?bytes={LENGTH}")).await;
    assert!(frames::next_of(&mut connection, frames::HEADERS).await.is_ok());

    server.signal(Signal::SIGTERM);
    let taken = frames::take_slowly(&mut connection, Duration::from_millis(100)).await;
    assert!(taken.goaways > 0, "not told of the drain: {taken:?}");
    assert_eq!((taken.bytes, taken.failure), (LENGTH, None));
    drop(connection);
    assert_eq!(server.wait_exit(3 * SECOND).await, 0);
}

/// A proxy has one connection for many clients.
#[tokio::test]
async fn a_stream_that_stalls_is_reset_and_the_others_go_on() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__WRITE_TIMEOUT", "2s")]).await;
    let mut connection = frames::open(server.app, &frames::window(0)).await;
    frames::send_get_on(&mut connection, 1, "/blob?bytes=1000").await;
    frames::send_get_on(&mut connection, 3, "/slow?ms=4000").await;
    frames::open_window(&mut connection, 3, 100).await.unwrap();

    let reset = frames::next_of(&mut connection, frames::RST_STREAM).await;
    assert_eq!(reset.stream, 1);
    let body = frames::next_of(&mut connection, frames::DATA).await;
    assert_eq!((body.stream, body.payload.as_slice()), (3, b"slow\n".as_slice()));
}

#[tokio::test]
async fn at_the_cap_a_peer_that_answers_no_ping_yields() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__MAX_CONNECTIONS", "1")]).await;
    let mut silent = frames::open(server.app, &[]).await;
    // The server's own settings: from here on the peer reads nothing.
    frames::next(&mut silent).await.unwrap();

    let begun = Instant::now();
    let mut new = Connection::open(server.app).await.unwrap();
    assert_eq!(new.get("/hello").await.unwrap().status, 200);
    assert!(begun.elapsed() < 3 * SECOND, "waited for {:?}", begun.elapsed());
    drop(silent);
    closes(&server, "yielded", 1.0).await;
}

const THREE: [(&str, &str); 1] = [("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "3")];

#[tokio::test]
async fn the_third_of_three_requests_brings_goaway_and_its_answer() {
    let _turn = shared().await;
    let server = start(&THREE).await;
    let mut connection = frames::open(server.app, &[]).await;
    for stream in [1, 3] {
        frames::send_get_on(&mut connection, stream, "/hello").await;
        loop {
            let frame = frames::next(&mut connection).await.unwrap();
            assert_ne!(frame.kind, frames::GOAWAY, "GOAWAY before the third request");
            if frame.ends_stream() {
                break;
            }
        }
    }
    frames::send_get_on(&mut connection, 5, "/hello").await;
    assert_retires(&mut connection, &[5]).await;
    closes(&server, "requests", 1.0).await;
}

#[tokio::test]
async fn requests_beyond_the_last_that_came_before_goaway_are_answered() {
    let _turn = shared().await;
    let server = start(&THREE).await;
    let mut connection = frames::open(server.app, &[]).await;
    for stream in [1, 3, 5, 7, 9] {
        frames::send_get_on(&mut connection, stream, "/slow?ms=300").await;
    }
    assert_retires(&mut connection, &[1, 3, 5, 7, 9]).await;
    closes(&server, "requests", 1.0).await;
}

/// All of `streams` are answered, GOAWAY without an error comes, and then the end.
async fn assert_retires(connection: &mut Connection, streams: &[u8]) {
    let (frames, end) = frames::rest(connection).await;
    let with = |is: fn(&frames::Frame) -> bool| -> Vec<u8> {
        let mut streams: Vec<_> = frames.iter().filter(|frame| is(frame)).map(|frame| frame.stream).collect();
        streams.sort_unstable();
        streams
    };
    assert_eq!(with(frames::Frame::is_ok), streams, "answered");
    assert_eq!(with(frames::Frame::ends_stream), streams, "whole");
    let mut goaways = frames.iter().filter(|frame| frame.kind == frames::GOAWAY).peekable();
    assert!(goaways.peek().is_some(), "no GOAWAY");
    // RFC 9113, section 6.8: the last stream, and then the error code.
    assert!(goaways.all(|frame| frame.payload[4..8] == [0; 4]), "GOAWAY with an error");
    assert_eq!(end, Failure::EofBeforeResponse);
}

#[tokio::test]
async fn a_stream_of_events_says_bye_at_the_connections_age() {
    let _turn = shared().await;
    let server = start(&[("APP__SERVER__MAX_CONNECTION_AGE", "1s")]).await;
    let mut connection = frames::open(server.app, &[]).await;
    frames::send_get(&mut connection, "/sse").await;
    let (frames, end) = frames::rest(&mut connection).await;

    let goaway = frames.iter().position(|frame| frame.kind == frames::GOAWAY).expect("a GOAWAY");
    let bye = frames.iter().position(|frame| frame.payload == b"data: bye\n\n").expect("bye");
    let last = frames.iter().position(frames::Frame::ends_stream).expect("the end of the stream");
    assert!(goaway < last && bye <= last, "GOAWAY at {goaway}, bye at {bye}, the end at {last}");
    assert_eq!(end, Failure::EofBeforeResponse);
}

/// 150 requests and their cancels in one write, as a proxy sends when many of its clients leave together.
#[tokio::test]
async fn cancels_of_many_requests_at_once_end_no_connection() {
    let _turn = shared().await;
    let server = start(&[]).await;
    let mut connection = frames::open(server.app, &[]).await;
    let mut bytes = Vec::new();
    for stream in (1..300).step_by(2) {
        bytes.extend(frames::raw(frames::HEADERS, 5, stream, &frames::get("/slow?ms=2000")));
        // CANCEL (RFC 9113, section 7).
        bytes.extend(frames::raw(frames::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    bytes.extend(frames::raw(frames::HEADERS, 5, 301, &frames::get("/hello")));
    connection.send(&bytes).await.unwrap();
    let head = frames::next_of(&mut connection, frames::HEADERS).await;
    assert!(head.is_ok(), "the next request");
}

/// Small messages (gRPC sends a frame for each) while the handler waits: what bounds them is the window.
#[tokio::test]
async fn small_frames_that_wait_for_their_handler_are_no_flood() {
    const FRAMES: usize = 3_000;
    let _turn = shared().await;
    let server = start(&[]).await;
    // Without a window for the answer, its handler reads nothing.
    let mut connection = frames::open(server.app, &frames::window(0)).await;
    let mut bytes = frames::raw(frames::HEADERS, 4, 1, &frames::request(0x83, "/echo"));
    bytes.extend(frames::raw(frames::DATA, 0, 1, b"sixteen bytes...").repeat(FRAMES));
    connection.send(&bytes).await.unwrap();
    frames::send_get_on(&mut connection, 3, "/hello").await;
    assert!(frames::next_of(&mut connection, frames::HEADERS).await.is_ok(), "a request beside it");

    frames::open_window(&mut connection, 1, 1 << 20).await.unwrap();
    connection.send(&frames::raw(frames::DATA, frames::END_STREAM, 1, b"")).await.unwrap();
    let mut echoed = 0;
    loop {
        let frame = frames::next_of(&mut connection, frames::DATA).await;
        echoed += if frame.stream == 1 { frame.payload.len() } else { 0 };
        if frame.stream == 1 && frame.ends_stream() {
            break;
        }
    }
    assert_eq!(echoed, FRAMES * 16);
}
