//! Request bodies that the handler does not read.

use crate::harness::{http::Connection, server::Server, shared};

fn post(length: usize) -> Vec<u8> {
    format!("POST /unread HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn after_200_kb_that_nobody_read_the_connection_is_usable() {
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let mut connection = Connection::open(server.app).await.unwrap();
    for _ in 0..5 {
        connection.send(&post(200_000)).await.unwrap();
        connection.send(&vec![b'x'; 200_000]).await.unwrap();
        let response = connection.receive().await.unwrap();
        assert_eq!((response.status, response.closes()), (200, false));
        assert_eq!(connection.get("/hello").await.unwrap().text(), "hello\n");
    }
}

/// The client writes all of it before it reads: a reset on the way would take the answer along.
#[tokio::test]
async fn a_20_mb_body_that_nobody_read_gets_its_answer() {
    const LENGTH: usize = 20_000_000;
    let _turn = shared().await;
    let server = Server::start_example("streams", &[("APP__SERVER__MAX_BODY", "32MiB")]).await;
    let body = vec![b'x'; LENGTH];
    for round in 1..=20 {
        let mut connection = Connection::open(server.app).await.unwrap();
        connection.send(&post(LENGTH)).await.unwrap();
        let sent = connection.send(&body).await;
        let response = connection.receive().await;
        let answer = response.map(|response| (response.status, response.text()));
        assert_eq!(answer, Ok((200, "not read\n".into())), "round {round}, sending was {sent:?}");
    }
}

/// The same above `max_body`: the 413 comes before the body was sent.
#[tokio::test]
async fn a_20_mb_body_that_is_too_large_gets_its_413() {
    const LENGTH: usize = 20_000_000;
    let _turn = shared().await;
    let server = Server::start_example("streams", &[]).await;
    let body = vec![b'x'; LENGTH];
    for round in 1..=20 {
        let mut connection = Connection::open(server.app).await.unwrap();
        connection.send(&post(LENGTH)).await.unwrap();
        let sent = connection.send(&body).await;
        let status = connection.receive().await.map(|response| response.status);
        assert_eq!(status, Ok(413), "round {round}, sending was {sent:?}");
    }
}
