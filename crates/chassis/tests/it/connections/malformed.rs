//! Malformed requests of HTTP/2 (RFC 9113, section 8.1.1): each gets a 400 on its own stream, and ends no other.

use std::time::Duration;

use serde_json::Value;

use super::frames::{self, DATA, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, raw, request};
use crate::{
    harness::{eventually, http::Connection, server::Server, shared},
    logs::access,
};

const END_HEADERS: u8 = 4;
const CONTINUATION: u8 = 9;
const PING: u8 = 6;
const PRIORITY: u8 = 32;
/// The stream of each case; a slow request is on stream 1, and another on 5.
const OWN: u32 = 3;

/// A literal field that keeps no place in the table, or does with 0x40 (RFC 7541, section 6.2).
fn field_as(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).expect("a short text");
    [&[first, length(name)], name, &[length(value)], value].concat()
}

fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    field_as(0, name, value)
}

/// A field with a name of the static table.
fn indexed(index: u8, value: &[u8]) -> Vec<u8> {
    [&[index, u8::try_from(value.len()).expect("a short text")], value].concat()
}

fn get() -> Vec<u8> {
    frames::get("/hello")
}

fn head(block: &[u8]) -> Vec<u8> {
    raw(HEADERS, END_STREAM | END_HEADERS, OWN, block)
}

/// A whole request with one field more.
fn with(name: &[u8], value: &[u8]) -> Vec<u8> {
    head(&[get(), field(name, value)].concat())
}

/// A head with these pseudo-headers. 0x82 and 0x86: `GET` and `http`.
fn of(parts: &[&[u8]]) -> Vec<u8> {
    head(&parts.concat())
}

/// An upload whose body, or what is behind it, is malformed.
fn upload(fields: &[u8], rest: &[u8]) -> Vec<u8> {
    let block = [request(0x83, "/upload"), fields.to_vec()].concat();
    [raw(HEADERS, END_HEADERS, OWN, &block), rest.to_vec()].concat()
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let (path, authority) = (indexed(4, b"/hello"), indexed(1, b"test"));
    let length = |value: &[u8]| field(b"content-length", value);
    vec![
        ("an upper-case name", with(b"X-Up", b"a")),
        ("the same, kept", head(&[get(), field_as(0x40, b"X-Up", b"a")].concat())),
        ("a name with a space", with(b"x up", b"a")),
        ("a name with a colon", with(b"x:up", b"a")),
        ("a name beyond ASCII", with(b"x\xe9", b"a")),
        ("no name", with(b"", b"a")),
        // `X-Up` in Huffman's code, and NUL as a value.
        ("an upper-case name in code", head(&[get(), vec![0, 0x84, 0xfc, 0xb7, 0xb5, 0x7f, 1, b'a']].concat())),
        ("a NUL in code", head(&[get(), vec![0, 1, b'x', 0x82, 0xff, 0xc7]].concat())),
        ("a NUL", with(b"x", b"a\0b")),
        ("a line feed", with(b"x", b"a\nb")),
        ("a carriage return", with(b"x", b"a\rb")),
        ("a DEL", with(b"x", b"a\x7fb")),
        ("an unknown pseudo-header", with(b":foo", b"a")),
        ("a status", head(&[get(), vec![0x88]].concat())),
        ("a pseudo-header behind a field", of(&[&[0x82, 0x86], &authority, &field(b"x", b"a"), &path])),
        ("a protocol", of(&[&[0x82, 0x86], &path, &authority, &field(b":protocol", b"websocket")])),
        ("connection", with(b"connection", b"close")),
        ("keep-alive", with(b"keep-alive", b"1")),
        ("proxy-connection", with(b"proxy-connection", b"x")),
        ("transfer-encoding", with(b"transfer-encoding", b"chunked")),
        ("upgrade", with(b"upgrade", b"x")),
        ("te", with(b"te", b"gzip")),
        ("no method", of(&[&[0x86], &path, &authority])),
        ("no scheme", of(&[&[0x82], &path, &authority])),
        ("no path", of(&[&[0x82, 0x86], &authority])),
        ("two methods", of(&[&[0x82, 0x82, 0x86], &path, &authority])),
        ("two paths", of(&[&[0x82, 0x86], &path, &path, &authority])),
        ("an empty method", of(&[&indexed(2, b""), &[0x86], &path, &authority])),
        ("a malformed method", of(&[&indexed(2, b"G T"), &[0x86], &path, &authority])),
        ("CONNECT", of(&[&indexed(2, b"CONNECT"), &authority])),
        ("CONNECT with a length", connect(&[indexed(2, b"CONNECT"), authority.clone(), length(b"5")].concat())),
        ("an empty path", of(&[&[0x82, 0x86], &indexed(4, b""), &authority])),
        ("a path without a slash", of(&[&[0x82, 0x86], &indexed(4, b"hello"), &authority])),
        ("a query alone", of(&[&[0x82, 0x86], &indexed(4, b"?a"), &authority])),
        ("a path with a space", of(&[&[0x82, 0x86], &indexed(4, b"/a b"), &authority])),
        ("a path that is no UTF-8", of(&[&[0x82, 0x86], &indexed(4, b"/\xe9"), &authority])),
        ("an authority with a space", of(&[&[0x82, 0x86], &path, &indexed(1, b"a b")])),
        ("an authority that is no UTF-8", of(&[&[0x82, 0x86], &path, &indexed(1, b"\xe9")])),
        ("a length without a body", head(&[get(), length(b"5")].concat())),
        ("a length that is no number", head(&[get(), length(b"x")].concat())),
        ("two lengths", head(&[get(), length(b"0"), length(b"1")].concat())),
        ("a body that is too short", upload(&length(b"5"), &raw(DATA, END_STREAM, OWN, b"abc"))),
        ("a body that is too long", upload(&length(b"5"), &raw(DATA, END_STREAM, OWN, b"abcdefgh"))),
        ("a malformed trailer", upload(&[], &raw(HEADERS, END_STREAM | END_HEADERS, OWN, &field(b"X", b"y")))),
        ("trailers that are not the end", upload(&[], &raw(HEADERS, END_HEADERS, OWN, &field(b"x", b"y")))),
        ("connection in the first of two frames", torn(&field(b"connection", b"x"), &field(b"y", b"z"))),
        ("connection in the second of two frames", torn(&field(b"y", b"z"), &field(b"connection", b"x"))),
        ("an upper-case name in the second", torn(&[], &field(b"Y", b"z"))),
        ("an upper-case name across two frames", torn(b"\x00\x02X", b"-\x01a")),
        (
            "an upper-case name behind 16 KiB",
            torn(
                &field(b"x", &[b'a'; 120]).repeat(120),
                &[&field(b"x", &[b'a'; 120]).repeat(40)[..], &field(b"X", b"a")].concat(),
            ),
        ),
    ]
}

/// A head whose body is to come.
fn connect(block: &[u8]) -> Vec<u8> {
    raw(HEADERS, END_HEADERS, OWN, block)
}

/// A head in two frames.
fn torn(first: &[u8], second: &[u8]) -> Vec<u8> {
    let first = raw(HEADERS, END_STREAM, OWN, &[&get(), first].concat());
    [first, raw(CONTINUATION, END_HEADERS, OWN, second)].concat()
}

/// What came on the own stream, once the two others are answered.
async fn beside_others(server: &Server, what: &str, case: &[u8], cut: usize) -> Vec<Frame> {
    let mut connection = frames::open(server.app, &[]).await;
    frames::send_get_on(&mut connection, 1, "/slow?ms=20").await;
    connection.send(&case[..cut]).await.unwrap();
    tokio::task::yield_now().await;
    connection.send(&[&case[cut..], &raw(HEADERS, END_STREAM | END_HEADERS, 5, &get())].concat()).await.unwrap();
    let own = until_answered(&mut connection, what).await;
    assert!(own.iter().all(|frame| frame.kind != GOAWAY), "{what}: the connection ends");
    // The tables of both sides still agree.
    connection.send(&raw(HEADERS, END_STREAM | END_HEADERS, 7, &get())).await.unwrap();
    while !frames::next(&mut connection).await.unwrap_or_else(|failure| panic!("{what}: {failure:?}")).ends_stream() {}
    own
}

/// All frames of stream 3 until it has ended and 1 and 5 are answered with 200.
async fn until_answered(connection: &mut Connection, what: &str) -> Vec<Frame> {
    let (mut own, mut answered, mut ended) = (Vec::new(), Vec::new(), false);
    while !(ended && answered.len() == 2) {
        let frame = frames::next(connection).await.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        if matches!(frame.stream, 1 | 5) && frame.kind == HEADERS {
            assert!(frame.is_ok(), "{what}: stream {}", frame.stream);
            answered.push(frame.stream);
        }
        if u32::from(frame.stream) == OWN || frame.kind == GOAWAY {
            ended |= frame.ends_stream() || frame.kind == RST_STREAM;
            own.push(frame);
        }
    }
    own
}

#[tokio::test]
async fn a_malformed_request_gets_a_400_and_ends_no_other() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for (what, case) in cases() {
        for cut in [0, 5, 12, case.len() - 1] {
            let own = beside_others(&server, what, &case, cut).await;
            assert_eq!(own[0].status(), Some(400), "{what}, cut at {cut}: {:?}", own[0].payload);
        }
    }
}

/// As one that matches no route. A malformed body is its request's, which the handler has by then.
#[tokio::test]
async fn a_malformed_head_is_counted_and_logged_once() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__TELEMETRY__ACCESS_LOG", "true")]).await;
    let heads = [with(b"X-Up", b"a"), with(b"te", b"gzip"), connect(&[get(), field(b"X", b"a")].concat())];
    for head in &heads {
        beside_others(&server, "a malformed head", head, 0).await;
    }
    let body = upload(&[], &raw(HEADERS, END_STREAM | END_HEADERS, OWN, &field(b"X", b"y")));
    beside_others(&server, "a malformed trailer", &body, body.len() - 1).await;
    torn_over_two_reads(&server).await;
    let labels = r#"http_request_method="_OTHER",http_response_status_code="400",http_route="""#;
    server.series_becomes("http_server_request_duration_seconds_count", labels, 4.0).await;
    let lines = async || {
        let lines = access(&server).into_iter().filter(|line| line["http.request.method"] == "_OTHER");
        let lines: Vec<_> = lines.collect();
        (lines.len() > heads.len()).then_some(lines)
    };
    let lines = eventually("their access lines", Duration::from_secs(5), lines).await;
    // And the torn one.
    assert_eq!(lines.len(), heads.len() + 1);
    for (name, expected) in [("http.route", ""), ("network.protocol.version", "2"), ("client.address", "127.0.0.1")] {
        assert_eq!(lines[0][name], Value::from(expected), "{name} in {}", lines[0]);
    }
}

/// A malformed head whose rest comes later, and half of a right one behind malformed trailers.
async fn torn_over_two_reads(server: &Server) {
    let mut connection = frames::open(server.app, &[]).await;
    let head = with(b"te", b"gzip");
    // What is read here acknowledges the SETTINGS: not in the middle of a frame. The half was read once the PING before
    // it is acknowledged.
    for half in [0, 20] {
        connection.send(&[&raw(PING, 0, 0, &[0; 8])[..], &head[..half]].concat()).await.unwrap();
        frames::next_of(&mut connection, PING).await;
    }
    connection.send(&head[20..]).await.unwrap();
    assert_eq!(frames::next_of(&mut connection, HEADERS).await.status(), Some(400));

    connection.send(&raw(HEADERS, END_HEADERS, 5, &request(0x83, "/upload"))).await.unwrap();
    let right = raw(HEADERS, END_STREAM | END_HEADERS, 7, &get());
    let trailers = raw(HEADERS, END_STREAM | END_HEADERS, 5, &field(b"X", b"y"));
    connection.send(&[&trailers[..], &right[..20]].concat()).await.unwrap();
    assert_eq!(frames::next_of(&mut connection, HEADERS).await.status(), Some(400));
    connection.send(&right[20..]).await.unwrap();
    assert!(frames::next_of(&mut connection, HEADERS).await.is_ok());
}

/// h2 would reset it before it has read the block, and lose its table.
#[tokio::test]
async fn a_stream_that_depends_on_itself_is_answered() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let block = [&OWN.to_be_bytes()[..], &[16], &get()].concat();
    let case = raw(HEADERS, END_STREAM | END_HEADERS | PRIORITY, OWN, &block);
    assert!(beside_others(&server, "a stream that depends on itself", &case, 0).await[0].is_ok());
}

/// The peer's table has the field that ours does not: whatever refers to it is malformed as well.
#[tokio::test]
async fn a_malformed_field_that_is_sent_again_by_its_index_is_malformed_again() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut connection = frames::open(server.app, &[]).await;
    let kept = [get(), field_as(0x40, b"X-Up", b"a")].concat();
    for (stream, block) in [(1, kept), (3, [get(), vec![0xbe]].concat())] {
        connection.send(&raw(HEADERS, END_STREAM | END_HEADERS, stream, &block)).await.unwrap();
        let end = loop {
            let frame = frames::next(&mut connection).await.unwrap();
            if frame.ends_stream() || frame.kind == RST_STREAM {
                break frame;
            }
        };
        assert_eq!(end.status(), Some(400), "stream {stream}");
    }
    frames::send_get_on(&mut connection, 5, "/hello").await;
    assert!(frames::next_of(&mut connection, HEADERS).await.is_ok());
}

/// h2 ends a connection at 1,024 resets of its own; before that many, it is asked to end, and all that came is answered.
#[tokio::test]
async fn many_malformed_requests_bring_goaway_without_an_error() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut connection = frames::open(server.app, &[]).await;
    frames::send_get_on(&mut connection, 1, "/slow?ms=300").await;
    let block = [get(), field(b"X", b"a")].concat();
    let mut answered = 0;
    for stream in (3..1_400).step_by(2) {
        if connection.send(&raw(HEADERS, END_STREAM | END_HEADERS, stream, &block)).await.is_err() {
            break;
        }
        let end = loop {
            match frames::next(&mut connection).await {
                Ok(frame) if frame.kind == HEADERS && frame.status() == Some(400) => break true,
                Ok(frame) if frame.kind == GOAWAY => {
                    assert_eq!(frame.payload[4..8], [0; 4], "GOAWAY with an error");
                    break false;
                }
                Ok(_) => {}
                Err(failure) => panic!("{failure:?} at stream {stream}"),
            }
        };
        if !end {
            break;
        }
        answered += 1;
    }
    assert!((500..600).contains(&answered), "{answered} were answered");
}
