//! Responses and the end of their connection: whole ones arrive whole, and one that was cut does not look whole.

use std::time::{Duration, Instant};

use super::{closed, closes};
use crate::harness::{
    at,
    http::{Connection, Failure},
    peers,
    server::Server,
    shared,
};

/// HTTP/1.0 knows the end of a body without a length by the end of the connection.
#[tokio::test]
async fn a_response_without_a_length_that_is_cut_ends_in_a_reset() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__WRITE_TIMEOUT", "1s")]).await;
    let mut reader = peers::narrow(server.app).await;
    reader.send(b"GET /download?bytes=16000000 HTTP/1.0\r\nhost: test\r\n\r\n").await.unwrap();
    closes(&server, "write_timeout", 1.0).await;
    assert_eq!(reader.receive().await.map(|response| response.body.len()), Err(Failure::Reset));
}

/// The same without a cut.
#[tokio::test]
async fn a_response_without_a_length_ends_in_a_clean_end() {
    const LENGTH: usize = 4_000_000;
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut reader = Connection::open(server.app).await.unwrap();
    reader.send(format!("GET /download?bytes={LENGTH} HTTP/1.0\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
    assert_eq!(reader.receive().await.map(|response| response.body.len()), Ok(LENGTH));
}

/// What was sent behind it lies unread in the socket when it closes.
#[tokio::test]
async fn a_closing_response_survives_the_requests_behind_it() {
    const LENGTH: usize = 250_000;
    let _turn = shared().await;
    let server = Server::start(&[("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "1")]).await;
    let first = format!("GET /v1/work?bytes={LENGTH}&sleep_ms=50 HTTP/1.1\r\nhost: test\r\n\r\n");
    // Once a single one, and once more than is read along with the first.
    for behind in [1, 1500] {
        let requests = first.clone() + &"GET /whoami HTTP/1.1\r\nhost: test\r\n\r\n".repeat(behind);
        for round in 1..=20 {
            let mut connection = peers::narrow(server.app).await;
            connection.send(requests.as_bytes()).await.unwrap();
            let response = connection.receive().await.map(|response| (response.closes(), response.body.len()));
            assert_eq!(response, Ok((true, LENGTH)), "round {round}, {behind} behind it");
            assert_ends_cleanly("pipelined", &mut connection).await;
        }
    }
}

/// The end of the connection, and no reset.
async fn assert_ends_cleanly(what: &str, connection: &mut Connection) {
    assert_eq!(connection.receive_bytes(1).await, Err(Failure::EofBeforeResponse), "{what}");
}

/// Requests whose bodies nobody will read: the response says that the connection ends with it. The client sends all of
/// its body before it reads.
#[tokio::test]
async fn a_response_before_the_body_says_close_and_arrives() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__MAX_BODY", "2MiB")]).await;
    let cases = [
        (405, "POST /hello", 10, "expect: 100-continue\r\n"),
        (413, "POST /upload", 9_000_000, "expect: 100-continue\r\n"),
        (413, "POST /upload", 9_000_000, ""),
        (405, "POST /hello", 300_000, ""),
        (200, "POST /unread", 1_000_000, ""),
    ];
    for (status, target, length, more) in cases {
        let what = format!("{target} of {length} bytes {more}");
        let mut connection = Connection::open(server.app).await.unwrap();
        let head = format!("{target} HTTP/1.1\r\nhost: test\r\n{more}content-length: {length}\r\n\r\n");
        connection.send(head.as_bytes()).await.unwrap();
        connection.send(&vec![b'x'; length]).await.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        let response = connection.receive().await.unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        assert_eq!((response.status, response.closes()), (status, true), "{what}");
        assert_ends_cleanly(&what, &mut connection).await;
    }
}

/// A client that waits for 100 sends no body at all.
#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_told_to_close() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for (status, target, length) in [(405, "POST /hello", 10), (413, "POST /upload", 9_000_000)] {
        let mut connection = Connection::open(server.app).await.unwrap();
        let head =
            format!("{target} HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
        connection.send(head.as_bytes()).await.unwrap();
        let response = connection.receive().await.unwrap();
        assert_eq!((response.status, response.closes()), (status, true), "{target}");
        assert_ends_cleanly(target, &mut connection).await;
    }
}

#[tokio::test]
async fn a_head_of_an_error_has_no_body() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut connection = Connection::open(server.app).await.unwrap();
    for (status, path) in [(404, "/nowhere"), (405, "/upload"), (500, "/panic")] {
        connection.send(format!("HEAD {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(connection.receive_head().await.map(|head| head.status), Ok(status), "{path}");
        // A byte of a body would stand in front of this.
        assert_eq!(connection.get("/hello").await.map(|response| response.text()), Ok("hello\n".into()), "{path}");
    }
    connection.send(b"HEAD /hello HTTP/1.1\r\nhost: test\r\ncontent-length: 9000000\r\n\r\n").await.unwrap();
    assert_eq!(connection.receive_head().await.map(|head| head.status), Ok(413));
    assert_ends_cleanly("413", &mut connection).await;
}

/// 30 kB/s: more in `write_timeout` than may lie unsent in the socket, and less than the whole of its buffer.
#[tokio::test]
async fn a_reader_that_is_slow_and_steady_is_not_cut() {
    const STEP: Duration = Duration::from_millis(100);
    let _turn = shared().await;
    let settings = [
        ("APP__SERVER__WRITE_TIMEOUT", "5s"),
        ("APP__SERVER__REQUEST_TIMEOUT", "20s"),
        ("APP__LIFECYCLE__DRAIN_TIMEOUT", "20s"),
    ];
    let server = Server::start_example("streams", &settings).await;
    let mut reader = peers::reads_later(server.app, "/blob?bytes=8000000").await;
    assert_eq!(reader.receive_head().await.unwrap().status, 200);
    let begun = Instant::now();
    for step in 1..=120 {
        assert_eq!(reader.receive_bytes(3000).await.map(|bytes| bytes.len()), Ok(3000), "after {:?}", begun.elapsed());
        at(begun + STEP * step).await;
    }
    assert!(closed(&server, "write_timeout").await < 0.5, "cut in spite of its progress");
}
