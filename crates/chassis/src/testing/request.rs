//! A request to a service that runs in this process, on a connection of its own.
//!
//! Next: `answer`.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::{Method, header, request::Builder};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    answer::Answer,
    pending::{PATIENCE, Pending},
};

/// A request that is not sent yet: `.await` it, or [`wait`](Self::wait) for its answer, or [`send`](Self::send) it and do
/// something else meanwhile.
#[derive(Debug)]
#[must_use = "it is sent by `.await`, `wait` or `send`"]
pub struct Request {
    address: SocketAddr,
    head: Builder,
    body: Bytes,
}

impl Request {
    pub(super) fn new(address: SocketAddr, method: Method, path: &str) -> Self {
        Self { address, head: Builder::new().method(method).uri(path), body: Bytes::new() }
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { head: self.head.header(name, value), ..self }
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sets the body, and its `content-type`.
    ///
    /// # Panics
    /// When `value` is no JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("a value that is JSON");
        self.header(header::CONTENT_TYPE.as_str(), "application/json").body(body)
    }

    /// Sends it.
    ///
    /// # Panics
    /// When the path or a header is not HTTP.
    pub fn send(self) -> Pending<Answer> {
        Pending::start(self.answer())
    }

    /// Sends it when it is polled.
    pub(super) fn answer(self) -> impl Future<Output = io::Result<Answer>> + Send + use<> {
        let Self { address, mut head, body } = self;
        if !head.headers_ref().is_some_and(|headers| headers.contains_key(header::HOST)) {
            head = head.header(header::HOST, address.to_string());
        }
        let request = head.body(Full::new(body)).expect("a path and headers that are HTTP");
        async move {
            let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {PATIENCE:?}"));
            timeout(PATIENCE, answer(address, request)).await.unwrap_or_else(|_| Err(late()))
        }
    }

    /// Sends it, and blocks this thread until its answer is there.
    ///
    /// # Panics
    /// When there is no whole answer.
    #[must_use]
    #[track_caller]
    pub fn wait(self) -> Answer {
        self.send().wait()
    }
}

/// Sends it when it is awaited; panics when there is no whole answer.
impl IntoFuture for Request {
    type Output = Answer;
    type IntoFuture = Pending<Answer>;

    fn into_future(self) -> Pending<Answer> {
        self.send()
    }
}

async fn answer(address: SocketAddr, request: http::Request<Full<Bytes>>) -> io::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // It ends with this request: a connection that is given up is closed.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Answer::new(head.status.as_u16(), head.headers, body))
}
