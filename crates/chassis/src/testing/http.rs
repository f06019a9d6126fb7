//! The client of all tests: HTTP/1.1 on a connection that may be kept. It sends no request twice, so that it sees each loss.
//!
//! Next: `answer`.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{answer::Answer, pending::PATIENCE, request::Request};

/// A GET on a connection of its own.
///
/// # Errors
/// When there is no connection, or no whole answer.
///
/// # Panics
/// When the path is not HTTP.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    Request::new(address, Method::GET, path).send().try_wait()
}

/// A connection that is kept between requests.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// It ends with this: a connection that is given up is closed.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        in_time(async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            let mut driver = JoinSet::new();
            driver.spawn(connection);
            Ok(Self { sender, _driver: driver })
        })
        .await
    }

    pub(super) async fn ask(&mut self, request: http::Request<Full<Bytes>>) -> io::Result<Answer> {
        in_time(async {
            // hyper may read the end of the answer before it takes another request.
            self.sender.ready().await.map_err(io::Error::other)?;
            let response = self.sender.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            Ok(Answer::new(head.status.as_u16(), head.headers, body))
        })
        .await
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"));
    timeout_at(Instant::now() + PATIENCE, work).await.map_err(late)?
}
