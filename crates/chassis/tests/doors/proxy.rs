//! The PROXY protocol, as bytes on a socket; real balancers speak it in the battery.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::server::Server;

async fn server(settings: &[(&str, &str)]) -> Server {
    let mut all = vec![
        ("APP__SERVER__LISTEN", "http://127.0.0.1:0"),
        ("APP__SERVER__PROXY_PROTOCOL", "http://127.0.0.1:0"),
        ("APP__SERVER__TRUSTED_PEERS", "127.0.0.1/32,10.0.0.0/8"),
    ];
    all.extend_from_slice(settings);
    Server::start_example("battery", &all).await
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(from.parse().expect("an address")).expect("binding to a loopback address");
    socket.connect(to).await.expect("connecting")
}

/// All that comes in answer to `header` and a request with the further `lines`.
async fn answer(from: &str, server: &Server, header: &[u8], lines: &str) -> Vec<u8> {
    let mut stream = connect(from, server.app).await;
    let request = format!("GET /echo HTTP/1.1\r\nhost: test\r\n{lines}connection: close\r\n\r\n");
    // A peer that is not heard may be gone by now.
    let _ = stream.write_all(&[header, request.as_bytes()].concat()).await;
    let mut all = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.expect("an end in time");
    all
}

/// Who the handler thinks the client is.
async fn client(server: &Server, header: &[u8], lines: &str) -> String {
    let all = answer("127.0.0.1:0", server, header, lines).await;
    let text = String::from_utf8_lossy(&all);
    let body = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {header:?}: {text}")).1;
    let echo: Value = serde_json::from_str(body).expect("an echo");
    echo["client"].as_str().expect("a client").to_owned()
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 80\r\n";

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("a short rest").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

#[tokio::test]
async fn the_client_is_whom_a_trusted_balancer_names() {
    let server = server(&[]).await;
    let addresses = [192, 0, 2, 2, 198, 51, 100, 1, 0xdc, 4, 0, 80];
    let extras = [&addresses[..], &[4, 0, 2, 0, 0]].concat();
    for (header, expected) in [
        (LINE.to_vec(), "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(), "2001:db8::1"),
        (binary(0x21, 0x11, &addresses), "192.0.2.2"),
        (binary(0x21, 0x11, &extras), "192.0.2.2"),
        // Its own checks, and what has no address.
        (binary(0x20, 0x00, &[]), "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
    ] {
        assert_eq!(client(&server, &header, "").await, expected, "{header:?}");
    }
}

#[tokio::test]
async fn forwarding_headers_count_only_where_the_client_is_a_proxy_itself() {
    let server = server(&[]).await;
    let forged = "x-forwarded-for: 203.0.113.66\r\n";
    assert_eq!(client(&server, LINE, forged).await, "192.0.2.1");
    let ours = b"PROXY TCP4 10.0.0.7 198.51.100.1 56324 80\r\n";
    assert_eq!(client(&server, ours, forged).await, "203.0.113.66");
}

#[tokio::test]
async fn who_may_not_say_it_and_who_does_not_are_refused_and_counted() {
    let server = server(&[("APP__SERVER__HEADER_TIMEOUT", "300ms")]).await;
    let closed = "http_server_connections_closed_total";
    assert_eq!(answer("127.0.0.2:0", &server, LINE, "").await, b"", "an untrusted peer");
    server.series_becomes(closed, "reason=\"untrusted\"", 1.0).await;
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200], b"\r\n".to_vec()].concat();
    let bad = [
        &b""[..],
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        &long,
        &binary(0x21, 0x11, &[0; 4]),
        &binary(0x20, 0, &[0; 9000]),
    ];
    for header in bad {
        assert_eq!(answer("127.0.0.1:0", &server, header, "").await, b"", "{header:?}");
    }
    server.series_becomes(closed, "reason=\"malformed\"", 5.0).await;
    // Half a header, and then silence.
    let mut stream = connect("127.0.0.1:0", server.app).await;
    stream.write_all(&LINE[..20]).await.expect("sending");
    let end = timeout(Duration::from_secs(10), stream.read(&mut [0; 1])).await.expect("an end in time");
    assert!(!end.is_ok_and(|length| length > 0));
    server.series_becomes(closed, "reason=\"header_timeout\"", 1.0).await;
}

#[tokio::test]
async fn a_listener_that_does_not_expect_it_takes_it_for_no_request() {
    let server = Server::start_example("battery", &[]).await;
    let all = answer("127.0.0.1:0", &server, LINE, "").await;
    assert!(all.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&all));
}
