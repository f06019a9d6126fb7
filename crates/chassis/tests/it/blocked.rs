//! A replica in trouble tells the truth about it: blocked threads, hanging dependencies, drills, bad settings.
//!
//! Next: `blocked::workers`.

mod faults;
mod reload;
mod workers;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::harness::{
    http::{Connection, Response},
    server::Server,
};

async fn put(address: SocketAddr, path: &str, body: &str) -> Response {
    let mut connection = Connection::open(address).await.expect("connecting");
    let request = format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.send(request.as_bytes()).await.expect("sending");
    connection.receive().await.unwrap_or_else(|failure| panic!("PUT {path}: {failure:?}"))
}

/// The status of an admin route, which has to be there within 500 ms: it waits for nothing.
async fn at_once(server: &Server, path: &str) -> u16 {
    let asked = Instant::now();
    let status = server.probe(path).await.unwrap_or_else(|| panic!("{path} does not answer; log:\n{}", server.log()));
    assert!(asked.elapsed() < Duration::from_millis(500), "{path} took {:?}", asked.elapsed());
    status
}
