//! A collector that answers as told, over HTTP/1 or gRPC, and remembers what it was asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use http::{HeaderMap, HeaderValue, request::Parts};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tonic::codegen::Bytes;

/// How one request is answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Taken; so are all after the last that was told.
    Taken,
    /// Taken, apart from so many.
    Partly(i64),
    /// An HTTP status, with `Retry-After`.
    Status(u16, Option<&'static str>),
    /// A gRPC status, with `grpc-status-details-bin`.
    Grpc(u16, Option<&'static str>),
    /// The connection is closed instead.
    Closed,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

/// A connection, in TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection as it is served; none: it ended.
pub(super) type Accepted = Pin<Box<dyn Future<Output = Option<Box<dyn Stream>>> + Send>>;

/// What becomes of an accepted connection.
pub(super) type Accept = Arc<dyn Fn(TcpStream) -> Accepted + Send + Sync>;

fn plainly(stream: TcpStream) -> Accepted {
    Box::pin(std::future::ready(Some(Box::new(stream) as Box<dyn Stream>)))
}

#[derive(Clone)]
pub(super) struct Scripted {
    address: SocketAddr,
    is_grpc: bool,
    accept: Accept,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(super) fn http(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(false, answers, Arc::new(plainly))
    }

    pub(super) fn grpc(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start(true, answers, Arc::new(plainly))
    }

    pub(super) fn start(is_grpc: bool, answers: impl IntoIterator<Item = Answer>, accept: Accept) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let scripted =
            Self { address: listener.local_addr().unwrap(), is_grpc, accept, answers, asked: Arc::default() };
        let serving = scripted.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { serving.accept(TcpListener::from_std(listener).unwrap()).await });
        });
        scripted
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    #[cfg(feature = "tls")]
    pub(super) fn secure_endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = self.clone();
            tokio::spawn(async move {
                let Some(stream) = (serving.accept)(stream).await else { return };
                let (stream, is_grpc) = (TokioIo::new(stream), serving.is_grpc);
                let answer = service_fn(move |request| serving.clone().answer(request));
                if is_grpc {
                    let _ = conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, answer).await;
                } else {
                    let _ = conn::http1::Builder::new().serve_connection(stream, answer).await;
                }
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<BoxBody<Bytes, Infallible>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        self.asked.lock().unwrap().push(Asked { head, body, at: Instant::now() });
        let told = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Taken);
        let mut response = Response::new(Full::default().boxed());
        match told {
            Answer::Taken => return Ok(self.taken(&ExportTraceServiceResponse::default())),
            Answer::Partly(rejected) => {
                let partly = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "too old".into() };
                return Ok(self.taken(&ExportTraceServiceResponse { partial_success: Some(partly) }));
            }
            Answer::Status(status, after) => {
                *response.status_mut() = status.try_into().unwrap();
                set(response.headers_mut(), "retry-after", after);
            }
            Answer::Grpc(code, details) => {
                response.headers_mut().insert("grpc-status", code.into());
                set(response.headers_mut(), "grpc-status-details-bin", details);
            }
            Answer::Closed => return Err(io::ErrorKind::ConnectionReset.into()),
        }
        Ok(response)
    }

    fn taken(&self, message: &ExportTraceServiceResponse) -> Response<BoxBody<Bytes, Infallible>> {
        let message = message.encode_to_vec();
        if !self.is_grpc {
            return Response::new(Full::new(message.into()).boxed());
        }
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0], &length[..], &message].concat();
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
        let trailers = std::future::ready(Some(Ok(trailers)));
        Response::new(Full::new(Bytes::from(framed)).with_trailers(trailers).boxed())
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: Option<&'static str>) {
    if let Some(value) = value {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
