//! A handler that is called directly answers as one that axum's router calls: the same status, headers and body, at the
//! program `ordinary`.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{server::Server, shared};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

const PATHS: [&str; 21] = [
    "/text?a=b",
    "/shared",
    "/long",
    "/stream",
    "/no-content",
    "/redirect",
    "/allow",
    "/bare",
    "/problem",
    "/panic",
    "/own",
    "/own-panic",
    "/own-computing",
    "/own-computing-panic",
    "/ws",
    "/path/1/a",
    "/path/1/%C3%A4%2f%25",
    "/path/x/a",
    "/path/1/%FF",
    "/path/1",
    "/nothing",
];

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn a_handler_answers_alike_directly_and_by_axums_router() {
    let _turn = shared().await;
    let server = Server::start_example("ordinary", &[]).await;
    for (method, path) in METHODS.into_iter().flat_map(|method| PATHS.map(|path| (method, path))) {
        for version in ["1.0", "1.1"] {
            let ask = |way| http1(server.app, method, path, version, way, "connection: close\r\n");
            alike(&format!("{method} {path} HTTP/{version}"), [ask("direct"), ask("routed"), ask("layered")]).await;
        }
        let ask = |way| http2(server.app, method, path, way);
        alike(&format!("{method} {path} HTTP/2"), [ask("direct"), ask("routed"), ask("layered")]).await;
    }
    let ask = |way| http1(server.app, "GET", "/ws", "1.1", way, UPGRADE);
    let upgraded = alike("an upgrade", [ask("direct"), ask("routed"), ask("layered")]).await;
    assert!(upgraded.starts_with("HTTP/1.1 101 "), "{upgraded}");
}

/// The answer, which is the same whichever way it takes.
async fn alike(what: &str, [direct, routed, layered]: [impl Future<Output = String>; 3]) -> String {
    let direct = direct.await;
    assert_eq!(direct, routed.await, "{what}, directly and by axum's method router");
    assert_eq!(direct, layered.await, "{what}, directly and behind a layer");
    direct
}

/// The whole response of a connection that ends with it; the headers in order.
async fn http1(address: SocketAddr, method: &str, path: &str, version: &str, way: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connecting");
    let head = format!(
        "{method} /ways/{way}{path} HTTP/{version}\r\nhost: test\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n"
    );
    stream.write_all(format!("{head}{more}\r\nbody").as_bytes()).await.expect("sending");
    let mut answer = Vec::new();
    if more == UPGRADE {
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.expect("a head"));
        }
    } else {
        stream.read_to_end(&mut answer).await.expect("an answer");
    }
    let answer = String::from_utf8(answer).expect("a text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let (status, fields) = head.split_once("\r\n").expect("fields");
    let fields = fields.lines().map(|line| line.split_once(": ").expect("a field"));
    shown(status, fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), body, way)
}

async fn http2(address: SocketAddr, method: &str, path: &str, way: &str) -> String {
    let stream = TcpStream::connect(address).await.expect("connecting");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    let driver = tokio::spawn(connection);
    let request = hyper::Request::builder().method(method).uri(format!("http://{address}/ways/{way}{path}"));
    let request = request.header("content-type", "text/plain").body(Full::new(Bytes::from_static(b"body")));
    let response = sender.send_request(request.expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    driver.abort();
    let text = |value: &hyper::header::HeaderValue| value.to_str().expect("a text").to_owned();
    let fields = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    shown(parts.status.as_str(), fields, &String::from_utf8_lossy(&body), way)
}

/// Without what differs between two requests.
fn shown(status: &str, mut fields: Vec<(String, String)>, body: &str, way: &str) -> String {
    let id = fields.iter().find(|(name, _)| name == "x-request-id").expect("an id").1.clone();
    fields.retain(|(name, _)| name != "date");
    fields.sort();
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let answer = format!("{status}\n{}\n\n{body}", fields.join("\n"));
    answer.replace(&id, "ID").replace(way, "WAY")
}
