//! What routers do not send every day, as bytes on a socket.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{harness::server::Server, packet::packet};

async fn server(settings: &[(&str, &str)]) -> Server {
    let mut all = vec![("APP__SERVER__LISTEN", "uwsgi://127.0.0.1:0")];
    all.extend_from_slice(settings);
    Server::start_example("battery", &all).await
}

/// All that comes until the connection ends.
async fn answer(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.app).await.expect("connecting");
    stream.write_all(request).await.expect("sending");
    let mut all = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.expect("an end in time");
    assert!(end.is_ok() || all.is_empty(), "reset in the middle of an answer");
    String::from_utf8_lossy(&all).into_owned()
}

const GET: [(&str, &str); 2] = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/hello/")];

#[tokio::test]
async fn an_answer_is_plain_http_and_never_in_chunks() {
    let server = server(&[]).await;
    let hello = answer(&server, &packet(0, &GET)).await;
    assert!(hello.starts_with("HTTP/1.1 200 OK\r\n") && hello.ends_with("\r\n\r\nHello, World!\n"), "{hello}");
    let stream = answer(&server, &packet(0, &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/stream?ms=1")])).await;
    assert!(!stream.contains("transfer-encoding") && stream.ends_with("part 3\npart 4\n"), "{stream}");
}

#[tokio::test]
async fn a_body_is_as_long_as_was_said_and_nothing_behind_it_is_a_request() {
    let server = server(&[]).await;
    let head = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/upload"), ("CONTENT_LENGTH", "5")];
    let request = [packet(0, &head), b"12345".to_vec(), packet(0, &GET)].concat();
    let all = answer(&server, &request).await;
    assert!(all.contains("\r\n\r\n5 ") && !all.contains("Hello"), "{all}");
}

#[tokio::test]
async fn chunks_without_a_length_are_answered_411() {
    let server = server(&[]).await;
    let head = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/upload"), ("HTTP_TRANSFER_ENCODING", "chunked")];
    let all = answer(&server, &packet(0, &head)).await;
    assert!(all.starts_with("HTTP/1.1 411 ") && all.contains("\"code\":\"length_required\""), "{all}");
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let server = server(&[("APP__SERVER__HEADER_TIMEOUT", "300ms")]).await;
    let no_target = answer(&server, &packet(0, &GET[..1])).await;
    assert!(no_target.starts_with("HTTP/1.1 400 ") && no_target.contains("application/problem+json"), "{no_target}");
    // Lengths beyond the end of the block.
    let broken = answer(&server, &[0, 2, 0, 0, 255, 255]).await;
    assert!(broken.starts_with("HTTP/1.1 400 "), "{broken}");
    for no_uwsgi in [&b"GET / HTTP/1.1\r\n\r\n"[..], &packet(5, &GET)] {
        assert_eq!(answer(&server, no_uwsgi).await, "");
    }
    // Half a block, and then silence.
    let whole = packet(0, &GET);
    assert_eq!(answer(&server, &whole[..whole.len() - 1]).await, "");
    server.series_becomes("http_server_connections_closed_total", "reason=\"header_timeout\"", 1.0).await;
}
