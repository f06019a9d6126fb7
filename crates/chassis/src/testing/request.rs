//! A request to a service that runs in this process, on a connection of its own.
//!
//! Next: `http`, which sends it.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http::{Method, header, request::Builder};
use http_body_util::Full;
use serde::Serialize;

use super::{answer::Answer, http::Connection, pending::Pending};

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
        let address = self.address;
        let request = self.whole();
        async move { Connection::open(address).await?.ask(request).await }
    }

    /// As it is sent.
    pub(super) fn whole(self) -> http::Request<Full<Bytes>> {
        let Self { address, mut head, body } = self;
        if !head.headers_ref().is_some_and(|headers| headers.contains_key(header::HOST)) {
            head = head.header(header::HOST, address.to_string());
        }
        head.body(Full::new(body)).expect("a path and headers that are HTTP")
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
