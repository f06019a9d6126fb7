//! Heads that are refused, each with a problem and before anything of its body is read.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{answers::assert_problem, frames};
use crate::harness::{
    http::{Connection, Failure, Response},
    server::Server,
    shared,
};

/// One request on a connection of its own, and whether the connection takes another.
async fn ask(server: &Server, head: &str, rest: &str) -> (Response, bool) {
    let mut connection = Connection::open(server.app).await.unwrap();
    connection.send(format!("{head}\r\nhost: test\r\n{rest}").as_bytes()).await.unwrap();
    let response = connection.receive().await.unwrap_or_else(|failure| panic!("{failure:?} for {head:?}"));
    let next = connection.get("/hello").await;
    assert!(matches!(next, Ok(_) | Err(Failure::Reset | Failure::EofBeforeResponse)), "{next:?}");
    (response, next.is_ok())
}

#[tokio::test]
async fn a_target_without_a_leading_slash_is_400() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for target in ["hello", "test:80", "*"] {
        let (response, _) = ask(&server, &format!("GET {target} HTTP/1.1"), "\r\n").await;
        assert_eq!(response.status, 400, "{target}");
        assert_problem(target, &response, "malformed_request");
    }
    for target in ["/hello", "http://test/hello", "http://test/hello?a#b"] {
        assert_eq!(ask(&server, &format!("GET {target} HTTP/1.1"), "\r\n").await.0.status, 200, "{target}");
    }
    for target in ["*", "?a"] {
        let mut connection = frames::open(server.app, &[]).await;
        frames::send_get(&mut connection, target).await;
        let head = frames::next_of(&mut connection, frames::HEADERS).await;
        assert_eq!(head.status(), Some(400), "{target}");
    }
}

/// The rest of such a request cannot be told from a second one, so the connection ends.
#[tokio::test]
async fn a_transfer_coding_but_chunked_alone_is_refused_with_its_connection() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for (codings, status, code) in [
        ("gzip, chunked", 501, "unsupported_transfer_coding"),
        ("gzip\r\ntransfer-encoding: chunked", 501, "unsupported_transfer_coding"),
        ("chunked, chunked", 400, "malformed_request"),
        ("chunked\r\ntransfer-encoding: chunked", 400, "malformed_request"),
        (", chunked", 400, "malformed_request"),
    ] {
        let rest = format!("transfer-encoding: {codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let (response, is_kept) = ask(&server, "POST /upload HTTP/1.1", &rest).await;
        assert_eq!((response.status, response.closes(), is_kept), (status, true, false), "{codings}");
        assert_problem(codings, &response, code);
    }
    // hyper's own, without a body.
    for codings in ["gzip", "chunked, gzip", "chunked;q=1", "xchunked", "chunked,"] {
        let rest = format!("transfer-encoding: {codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let (response, is_kept) = ask(&server, "POST /upload HTTP/1.1", &rest).await;
        assert_eq!((response.status, response.closes(), is_kept), (400, true, false), "{codings}");
    }
}

/// `count` fields beside `host`, in HTTP/1 and HTTP/2.
async fn with_fields(server: &Server, name: fn(usize) -> String, count: usize) -> [u16; 2] {
    let names: Vec<String> = (0..count).map(name).chain([String::new()]).collect();
    let (response, _) = ask(server, "GET /hello HTTP/1.1", &format!("{}\r\n", names.join(": a\r\n"))).await;
    if response.status != 200 {
        assert_problem("HTTP/1", &response, "head_too_large");
    }
    let stream = TcpStream::connect(server.app).await.expect("connecting");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let driver = tokio::spawn(connection);
    let mut request = hyper::Request::get(format!("http://{}/hello", server.app));
    for at in 0..count {
        request = request.header(name(at), "a");
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status().as_u16();
    answer.into_body().collect().await.expect("its body");
    driver.abort();
    [response.status, status]
}

#[tokio::test]
async fn more_fields_than_the_limit_get_a_problem_through_every_door() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let other = |at| format!("x-{at}");
    assert_eq!(with_fields(&server, other, 95).await, [200, 200]);
    // `host` is a field in HTTP/1, and a pseudo-header in HTTP/2.
    assert_eq!(with_fields(&server, other, 97).await, [431, 431]);
    // A client of HTTP/2 may split one `Cookie` into many fields.
    assert_eq!(with_fields(&server, |_| "cookie".into(), 98).await, [200, 200]);
}

#[tokio::test]
async fn a_limit_of_fields_above_the_parsers_own_holds() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__MAX_HEADERS", "150")]).await;
    let other = |at| format!("x-{at}");
    assert_eq!(with_fields(&server, other, 149).await, [200, 200]);
    assert_eq!(with_fields(&server, other, 151).await, [431, 431]);
}
