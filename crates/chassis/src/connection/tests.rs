//! What a connection holds that is idle, or that lingers.

use std::{net::Ipv4Addr, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Connections, Http, Limits, Metrics, Protocol, Rules, Settings};
use crate::{lifecycle::Lifecycle, middleware::routes::Routes};

/// Ten thousand idle connections hold ten thousand of these, beside hyper's buffers.
#[tokio::test]
async fn the_task_of_a_connection_is_small() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("binds");
    let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connects");
    let peer = stream.peer_addr().expect("an address");
    let limits = Limits::new(Arc::new(ArcSwap::from_pointee(Settings::default())), Lifecycle::new(None));
    let http = Http::new(Routes::from(axum::Router::new()), limits);
    let entry = Connections::new(1, Rules::default(), Metrics::new(None)).enter(None);
    let bytes = size_of_val(&http.serve(stream, peer, entry));
    println!("{bytes} bytes");
    assert!(bytes <= 2048, "{bytes} bytes: does a future hold a connection twice?");
}

/// Its client has its answer, and has not closed.
#[tokio::test]
async fn a_malformed_head_does_not_count_while_its_connection_lingers() {
    let limits = Limits::new(Arc::new(ArcSwap::from_pointee(Settings::default())), Lifecycle::new(None));
    let http = Http::new(Routes::from(axum::Router::new()), limits);
    let connections = Connections::new(1, Rules::default(), Metrics::new(None));
    let entry = connections.enter(None);
    let (mut client, server) = tokio::io::duplex(100_000);
    let head = format!("GET / HTTP/1.1\r\nx-long: {}\r\n\0: \r\n\r\n", "x".repeat(20_000));
    client.write_all(head.as_bytes()).await.expect("sends");
    let serving = tokio::spawn(http.serve(server, (Ipv4Addr::LOCALHOST, 1).into(), Arc::clone(&entry)));
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer, and the end of the server's side");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(entry.state.is_lingering() && !serving.is_finished());
    assert_eq!(connections.heads.total(), 0);
    drop(client);
    serving.await.expect("ends");
}
