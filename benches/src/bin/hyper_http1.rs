//! hyper's HTTP/1 and nothing else: what every ratio is to. A second argument is the answer's length.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind(bench::address()).await?;
    let body = match std::env::args().nth(2) {
        Some(length) => Bytes::from(vec![b'x'; length.parse().expect("the second argument is a length")]),
        None => Bytes::from_static(bench::BODY.as_bytes()),
    };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let answer = service_fn(move |_| {
            let response = Response::builder().header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
            let response = response.body(Full::new(body.clone()));
            std::future::ready(Ok::<_, Infallible>(response.expect("a valid response")))
        });
        tokio::spawn(async move {
            // A client that left is no failure.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn main() -> std::io::Result<()> {
    bench::runtime()?.block_on(async { tokio::spawn(serve()).await? })
}
