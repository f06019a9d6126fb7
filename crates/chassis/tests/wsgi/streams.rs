//! Bodies as streams, both ways: what is made goes out at once, what is not read is not made, and who leaves is heard of.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::{
    harness::{eventually, http::Connection, shared},
    python::{get, post, seen, start},
};

const SOON: Duration = Duration::from_secs(10);

/// Python gets a request before its body is whole.
const STREAM: [(&str, &str); 1] = [("APP__APP__PYTHON__STREAM_BODIES", "true")];

#[tokio::test]
async fn a_part_goes_out_before_the_next_is_made() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(b"GET /stepwise HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    assert_eq!(connection.receive_head().await.expect("a head").status, 200);
    let chunk = connection.receive_bytes("6\r\nfirst\n\r\n".len()).await.expect("the first part");
    assert_eq!(chunk, b"6\r\nfirst\n\r\n");
    // Only now.
    server.get("/release").await;
    let rest = connection.receive_bytes("7\r\nsecond\n\r\n0\r\n\r\n".len()).await.expect("the second part");
    assert_eq!(rest, b"7\r\nsecond\n\r\n0\r\n\r\n");
}

#[tokio::test]
async fn an_answer_may_begin_before_the_body_has_ended() {
    let _turn = shared().await;
    let server = start("shapes:application", &STREAM).await;
    let mut connection = Connection::open(server.app).await.expect("connecting");
    let head = b"POST /partly HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nfirst";
    connection.send(head).await.expect("sending");
    assert_eq!(connection.receive_head().await.expect("a head").status, 200);
    assert_eq!(connection.receive_bytes(10).await.expect("the first part"), b"5\r\nfirst\r\n");
    connection.send(b"other").await.expect("sending");
    assert_eq!(connection.receive_bytes(15).await.expect("the rest"), b"5\r\nother\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_the_application_and_one_that_leaves_ends_it() {
    let _turn = shared().await;
    let server = start("shapes:application", &[("APP__SERVER__WRITE_TIMEOUT", "60s")]).await;
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(b"GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
    assert_eq!(connection.receive_head().await.expect("a head").status, 200);
    // Until two counts in a row, half a second apart, are the same: it has stopped.
    let mut last = 0;
    let stands = async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let made = seen(&server, "made").await;
        let stands = made > 0 && made == last;
        last = made;
        stands.then_some(made)
    };
    let made = eventually("it stops", Duration::from_secs(30), stands).await;
    // What sockets hold, and a few parts; for ever would be thousands.
    assert!(made < 400, "{made} parts of 64 KiB");
    drop(connection);
    eventually("it is closed", SOON, async || (seen(&server, "closed").await == 1).then_some(())).await;
    let server_is_free = async || (server.metric("wsgi_threads_busy").await == 0.0).then_some(());
    eventually("its thread is free", SOON, server_is_free).await;
}

#[tokio::test]
async fn close_is_called_when_a_client_leaves_a_stream() {
    let _turn = shared().await;
    let server = start("shapes:application", &[]).await;
    for left in 1..=20 {
        let mut connection = Connection::open(server.app).await.expect("connecting");
        connection.send(b"GET /ticks HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sending");
        connection.receive_head().await.expect("a head");
        connection.receive_bytes(10).await.expect("a tick");
        drop(connection);
        eventually("it is closed", SOON, async || (seen(&server, "closed").await == left).then_some(())).await;
    }
}

#[tokio::test]
async fn a_request_body_that_breaks_off_raises_in_python() {
    let _turn = shared().await;
    let server = start("shapes:application", &STREAM).await;
    let mut connection = Connection::open(server.app).await.expect("connecting");
    let head = b"POST /broken_body HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\nnot all of it";
    connection.send(head).await.expect("sending");
    server.metric_becomes("wsgi_threads_busy", 1.0, SOON).await;
    drop(connection);
    eventually("it raises", SOON, async || (seen(&server, "closed").await == 1).then_some(())).await;
    server.logs("broke off: the request body was cut off").await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_a_413_also_where_python_reads_it() {
    let _turn = shared().await;
    let server = start("shapes:application", &[("APP__SERVER__MAX_BODY", "16KiB")]).await;
    assert_eq!(post(&server, "/body", "", &vec![b'x'; 20_000]).await.status, 413);
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let chunked = format!(
        "POST /body HTTP/1.1\r\nhost: test\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let mut connection = Connection::open(server.app).await.expect("connecting");
    connection.send(chunked.as_bytes()).await.expect("sending");
    assert_eq!(connection.receive().await.expect("an answer").status, 413);
}

#[tokio::test]
async fn a_drain_waits_for_python() {
    let _turn = shared().await;
    let mut server = start("shapes:application", &[]).await;
    let address = server.app;
    let asked = tokio::spawn(async move { crate::harness::http::get(address, "/slow?1.5").await });
    server.metric_becomes("wsgi_threads_busy", 1.0, SOON).await;
    server.signal(Signal::SIGINT);
    assert_eq!(asked.await.expect("a task").expect("an answer").text(), "one part");
    assert_eq!(server.wait_exit(SOON).await, 0, "{}", server.log());
    assert!(get(&server, "/one").await.is_err());
}
