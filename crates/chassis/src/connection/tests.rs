//! What an idle connection holds.

use std::{net::Ipv4Addr, sync::Arc};

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};

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
