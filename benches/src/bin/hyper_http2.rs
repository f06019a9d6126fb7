//! hyper's HTTP/2 without TLS and nothing else: what the ratios of HTTP/2 are to.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, header, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind(bench::address()).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = service_fn(async |_| {
            let response = Response::builder().header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
            let response = response.body(Full::new(Bytes::from_static(bench::BODY.as_bytes())));
            Ok::<_, Infallible>(response.expect("a valid response"))
        });
        tokio::spawn(async move {
            // A client that left is no failure.
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn main() -> std::io::Result<()> {
    bench::runtime()?.block_on(async { tokio::spawn(serve()).await? })
}
