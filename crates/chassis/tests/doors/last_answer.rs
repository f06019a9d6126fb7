//! The last answer on a connection of HTTP/1.0 that is kept: it says `close`, and not `keep-alive` beside it.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::{
    harness::{
        http::{Connection, Response},
        server::Server,
    },
    spoken::{Spoken, app},
};

/// One request of a client that asks to keep the connection, as `ab -k` and old balancers do.
async fn ask(connection: &mut Connection, method: &str, target: &str) -> Response {
    let request = format!("{method} {target} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    connection.send(request.as_bytes()).await.expect("sending");
    connection.receive_head().await.unwrap_or_else(|failure| panic!("{failure:?} for {method} {target}"))
}

async fn open(server: &Server) -> Connection {
    Connection::over(Spoken::Http10.connect(server).await)
}

fn options(answer: &Response) -> Vec<&str> {
    let fields = answer.headers.iter().filter(|(name, _)| name == "connection");
    fields.flat_map(|(_, value)| value.split(',').map(str::trim)).collect()
}

#[tokio::test]
async fn at_its_number_of_requests_the_last_answer_says_close_alone() {
    let server = app(&[("APP__SERVER__MAX_REQUESTS_PER_CONNECTION", "2")]).await;
    let mut connection = open(&server).await;
    assert_eq!(options(&ask(&mut connection, "HEAD", "/hello/").await), ["keep-alive"]);
    assert_eq!(options(&ask(&mut connection, "HEAD", "/hello/").await), ["close"]);
    assert!(connection.ended_within(Duration::from_secs(2)).await.is_some(), "it goes on");
}

#[tokio::test]
async fn in_a_drain_the_last_answer_says_close_alone() {
    let server = app(&[("APP__LIFECYCLE__DRAIN_DELAY", "1s")]).await;
    let mut connection = open(&server).await;
    assert_eq!(options(&ask(&mut connection, "HEAD", "/hello/").await), ["keep-alive"]);
    server.signal(Signal::SIGTERM);
    loop {
        match options(&ask(&mut connection, "HEAD", "/hello/").await).as_slice() {
            ["keep-alive"] => {}
            last => break assert_eq!(last, ["close"]),
        }
    }
}

/// Its end is the end of its body, as there are no chunks, or its handler says that it is the last.
#[tokio::test]
async fn an_answer_that_must_be_the_last_says_close_alone() {
    let server = app(&[]).await;
    for target in ["/stream?ms=1", "/sse", "/compressed", "/closing"] {
        let mut connection = open(&server).await;
        let request = format!("GET {target} HTTP/1.0\r\nconnection: keep-alive\r\naccept-encoding: gzip\r\n\r\n");
        connection.send(request.as_bytes()).await.expect("sending");
        let head = connection.receive_head().await.expect("a head");
        assert_eq!(options(&head), ["close"], "{target}");
    }
    // Of a HEAD, nothing follows.
    let mut connection = open(&server).await;
    for target in ["/stream?ms=1", "/no-content", "/hello/"] {
        assert_eq!(options(&ask(&mut connection, "HEAD", target).await), ["keep-alive"], "{target}");
    }
}
