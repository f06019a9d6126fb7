//! The end of a chunked body: exactly RFC 9112's, or the connection ends with it.

use super::answers::assert_problem;
use crate::harness::{
    http::{Connection, Failure},
    server::Server,
    shared,
};

const NEXT: &str = "GET /hello HTTP/1.1\r\nhost: test\r\n\r\n";

async fn open(server: &Server) -> Connection {
    Connection::open(server.app).await.unwrap()
}

/// A head of `method`, and a body that follows it at once.
fn upload(method: &str, body: &str) -> String {
    format!("{method} /upload HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

#[tokio::test]
async fn a_chunked_body_that_does_not_end_as_it_must_is_400_and_the_last() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for body in [
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\na: b\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a\0\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\r\n0\r\na : b\r\n\r\n",
        "5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "x",
    ] {
        for cut in [0, 1, 4, body.len()] {
            let mut connection = open(&server).await;
            let bytes = format!("{}{NEXT}", upload("POST", body));
            let head = bytes.len() - NEXT.len() - body.len();
            connection.send(&bytes.as_bytes()[..head + cut]).await.unwrap();
            // It may be closed before all is sent.
            let _ = connection.send(&bytes.as_bytes()[head + cut..]).await;
            let response = connection.receive().await.unwrap_or_else(|failure| panic!("{failure:?} for {body:?}"));
            assert_eq!(response.status, 400, "{body:?}");
            assert_problem(body, &response, "malformed_request");
            let next = connection.receive().await;
            assert!(matches!(next, Err(Failure::EofBeforeResponse | Failure::Reset)), "{body:?}: {next:?}");
        }
    }
}

#[tokio::test]
async fn a_chunked_body_that_ends_as_it_must_keeps_its_connection() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let bodies =
        ["5\r\nhello\r\n0\r\n\r\n", "05;a=\"b\"\r\nhello\r\n0;c\r\n\r\n", "5\r\nhello\r\n0\r\na: b\r\nc:\r\n\r\n"];
    for body in bodies {
        // Wherever the network cuts it, also inside the empty line of its head.
        let bytes = format!("{}{NEXT}", upload("POST", body));
        for cut in 0..bytes.len() {
            let mut connection = open(&server).await;
            connection.send(&bytes.as_bytes()[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            connection.send(&bytes.as_bytes()[cut..]).await.unwrap();
            assert_eq!(connection.receive().await.unwrap().text(), "5\n", "{body:?} at {cut}");
            assert_eq!(connection.receive().await.unwrap().text(), "hello\n", "{body:?} at {cut}");
            assert_eq!(connection.get("/hello").await.unwrap().status, 200, "{body:?} at {cut}");
        }
    }
}

/// Many at once, of every kind: none is lost or taken for another.
#[tokio::test]
async fn requests_behind_a_body_are_answered_in_their_order() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let plain = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 7\r\n\r\n5\r\n\r\nab";
    let chunked = upload("POST", "3\r\nabc\r\n0\r\n\r\n");
    let empty = "\r\nPOST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n";
    let mut connection = open(&server).await;
    let bytes = [NEXT, plain, NEXT, empty, NEXT].concat();
    connection.send(bytes.as_bytes()).await.unwrap();
    for expected in ["hello\n", "7\n", "hello\n", "0\n", "hello\n"] {
        assert_eq!(connection.receive().await.unwrap().text(), expected);
    }
    connection.send(format!("{chunked}{chunked}{NEXT}{NEXT}").as_bytes()).await.unwrap();
    for expected in ["3\n", "3\n", "hello\n", "hello\n"] {
        assert_eq!(connection.receive().await.unwrap().text(), expected);
    }
    // Behind others in one packet its end is not checked, so nothing may follow it.
    connection.send(format!("{NEXT}{chunked}{NEXT}").as_bytes()).await.unwrap();
    assert_eq!(connection.receive().await.unwrap().text(), "hello\n");
    let last = connection.receive().await.unwrap();
    assert_eq!((last.text().as_str(), last.closes()), ("3\n", true));
}

#[tokio::test]
async fn a_length_beyond_64_bits_is_too_large() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    for length in ["18446744073709551614", "18446744073709551616", "99999999999999999999999999999999"] {
        let mut connection = open(&server).await;
        let head = format!("POST /upload HTTP/1.1\r\nhost: test\r\nContent-Length:  {length} \r\n\r\nhello");
        connection.send(head.as_bytes()).await.unwrap();
        let response = connection.receive().await.unwrap();
        assert_eq!((response.status, response.closes()), (413, true), "{length}");
        assert_problem(length, &response, "body_too_large");
    }
}
