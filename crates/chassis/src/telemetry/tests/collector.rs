//! OTLP collectors that remember what they got.

use std::{
    convert::Infallible,
    future::{self, Future},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    thread,
};

use http::request::Parts;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span,
};
use tokio::net::{TcpListener, TcpStream};
use tonic::codegen::{Bytes, Service};

#[derive(Clone, Default)]
struct Received {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    posts: Arc<Mutex<Vec<(Parts, Bytes)>>>,
}

pub(super) struct Collector {
    address: SocketAddr,
    received: Received,
}

impl Collector {
    pub(super) fn grpc() -> Self {
        Self::start(|stream, received| async move {
            let service = TraceServiceServer::new(received);
            let answer = service_fn(move |request: Request<Incoming>| service.clone().call(request));
            let _ =
                conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
        })
    }

    pub(super) fn http() -> Self {
        Self::start(|stream, received| async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let posts = Arc::clone(&received.posts);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    posts.lock().unwrap().push((head, body));
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            let _ = conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        })
    }

    fn start<F: Future<Output = ()> + Send + 'static>(serve: fn(TcpStream, Received) -> F) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), received: Received::default() };
        let received = collector.received.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, received.clone()));
                }
            });
        });
        collector
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let traces = self.received.traces.lock().unwrap();
        let resources = traces.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans).cloned().collect()
    }

    pub(super) fn resource(&self, key: &str) -> Option<Value> {
        let traces = self.received.traces.lock().unwrap();
        let attributes = &traces[0].resource_spans[0].resource.as_ref()?.attributes;
        attributes.iter().find(|it| it.key == key)?.value.clone()?.value
    }

    pub(super) fn posts(&self) -> Vec<(Parts, Bytes)> {
        self.received.posts.lock().unwrap().clone()
    }
}

impl TraceService for Received {
    // Written as `async_trait` expands it.
    fn export<'a, 'f>(
        &'a self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Pin<Box<dyn Future<Output = Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        self.traces.lock().unwrap().push(request.into_inner());
        Box::pin(future::ready(Ok(tonic::Response::new(ExportTraceServiceResponse::default()))))
    }
}
