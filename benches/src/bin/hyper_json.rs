//! hyper's HTTP/1 and `serde_json`: reads a parcel, answers its price, and does nothing else.

use std::{convert::Infallible, io};

use bench::quotes::Parcel;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

async fn quote(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match request.into_body().collect().await {
        Ok(body) => answer(&body.to_bytes()),
        Err(_) => None,
    };
    let (status, body) = answer.map_or((StatusCode::BAD_REQUEST, Vec::new()), |body| (StatusCode::OK, body));
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Full::new(body.into())).expect("a valid response"))
}

fn answer(body: &[u8]) -> Option<Vec<u8>> {
    let parcel: Parcel = serde_json::from_slice(body).ok()?;
    serde_json::to_vec(&parcel.quote()?).ok()
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(bench::address()).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A client that left is no failure.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(quote)).await;
        });
    }
}

fn main() -> io::Result<()> {
    bench::runtime()?.block_on(async { tokio::spawn(serve()).await? })
}
