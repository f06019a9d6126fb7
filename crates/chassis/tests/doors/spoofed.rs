//! What a client sends to be taken for another, or to make front and app disagree where a request ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{net::TcpSocket, task::JoinSet, time::timeout};

use crate::{
    door::{Door, Protocol},
    fronts::Fronts,
    harness::http::{Connection, Failure, Response},
};

/// A client that is not trusted, as every other loopback address is not here.
const STRANGER: &str = "127.0.0.2:0";

async fn fronts() -> Fronts {
    Fronts::start(&[("APP__SERVER__TRUSTED_PEERS", "127.0.0.1/32,::1/128")]).await
}

async fn connect(address: SocketAddr) -> Connection {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(STRANGER.parse().expect("an address")).expect("binding to another loopback address");
    Connection::over(socket.connect(address).await.expect("connecting"))
}

async fn ask(address: SocketAddr, request: &str) -> Result<Response, Failure> {
    let mut connection = connect(address).await;
    connection.send(request.as_bytes()).await?;
    connection.receive().await
}

fn echo(door: Door, response: &Response) -> Value {
    assert_eq!(response.status, 200, "{}: {}", door.name, response.text());
    serde_json::from_slice(&response.body).expect("an echo")
}

fn has(echo: &Value, name: &str) -> bool {
    echo["headers"].as_array().is_some_and(|headers| headers.iter().any(|header| header[0] == name))
}

#[tokio::test]
async fn a_client_is_who_it_is() {
    let fronts = fronts().await;
    for (door, address) in fronts.doors() {
        for header in [
            "x-forwarded-for: 192.0.2.66",
            "x_forwarded_for: 192.0.2.66",
            "X-Forwarded-For: 192.0.2.66\r\nX_Forwarded_For: 127.0.0.1",
            "forwarded: for=192.0.2.66",
            "x-real-ip: 192.0.2.66",
            "remote_addr: 192.0.2.66",
        ] {
            let request = format!("GET /echo HTTP/1.1\r\nhost: test\r\n{header}\r\nconnection: close\r\n\r\n");
            let answer = match ask(address, &request).await {
                Ok(answer) => answer,
                Err(failure) => panic!("{}: {header}: {failure:?}", door.name),
            };
            let echo = echo(door, &answer);
            assert_eq!(echo["client"], "127.0.0.2", "{}: {header}: {echo}", door.name);
        }
    }
}

#[tokio::test]
async fn a_proxy_header_sets_nobodys_proxy() {
    let fronts = fronts().await;
    for (door, address) in fronts.doors().filter(|(door, _)| door.protocol != Protocol::Http) {
        let request = "GET /echo HTTP/1.1\r\nhost: test\r\nproxy: http://192.0.2.66\r\nconnection: close\r\n\r\n";
        let echo = echo(door, &ask(address, request).await.expect("an answer"));
        assert!(!has(&echo, "proxy"), "{}: {echo}", door.name);
    }
}

#[tokio::test]
async fn no_request_hides_in_another() {
    let fronts = fronts().await;
    let hidden = "GET /echo/hidden HTTP/1.1\r\nhost: test\r\n\r\n";
    let length = hidden.len();
    let chunk = format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n");
    // Heads, and what follows them. The hidden request must never be answered.
    let cases = [
        // A second length in disguise: whoever believes the short one takes the rest for a request.
        (format!("content-length: {length}\r\ncontent_length: 0"), hidden.to_owned()),
        (format!("content_length: 0\r\ncontent-length: {length}"), hidden.to_owned()),
        (format!("content-length: 0\r\ncontent-length: {length}"), hidden.to_owned()),
        (format!("content-length: +{length}"), hidden.to_owned()),
        (format!("content-length: {length}\r\ntransfer_encoding: chunked"), hidden.to_owned()),
        (format!("content-length: {length}\r\ntransfer-encoding: chunked"), format!("0\r\n\r\n{hidden}")),
        (format!("content-length: {}\r\ntransfer-encoding: xchunked", chunk.len()), chunk.clone()),
        ("transfer-encoding: chunked\r\ncontent_length: 0".to_owned(), chunk.clone()),
        ("transfer-encoding: chunked, identity".to_owned(), chunk.clone()),
        ("transfer-encoding: identity, chunked".to_owned(), format!("0\r\n\r\n{hidden}")),
    ];
    let cases = Arc::new(cases);
    let mut doors = JoinSet::new();
    for (door, address) in fronts.doors() {
        let cases = Arc::clone(&cases);
        doors.spawn(async move {
            for (head, rest) in cases.iter() {
                hides_nothing(door, address, head, rest).await;
            }
        });
    }
    doors.join_all().await;
}

/// How long an answer that may never come is waited for.
const MOMENT: Duration = Duration::from_millis(500);

async fn hides_nothing(door: Door, address: SocketAddr, head: &str, rest: &str) {
    let mut connection = connect(address).await;
    let request = format!("POST /echo HTTP/1.1\r\nhost: test\r\n{head}\r\n\r\n{rest}");
    connection.send(request.as_bytes()).await.expect("sending");
    let answer = timeout(MOMENT, connection.receive()).await;
    let first = format!("{}: {head}: {answer:?}", door.name);
    match &answer {
        Ok(Ok(answer)) if answer.status == 200 => assert!(!answer.text().contains("/echo/hidden\""), "{first}"),
        Ok(Ok(answer)) => assert!((400..=501).contains(&answer.status), "{first}"),
        _ => {}
    }
    // Behind a last chunk, a second request follows in the open.
    let second = timeout(MOMENT, connection.receive()).await;
    if let (Ok(Ok(second)), false) = (&second, rest.starts_with('0')) {
        assert_ne!(second.status, 200, "{first}, and then {second:?}");
    }
}
