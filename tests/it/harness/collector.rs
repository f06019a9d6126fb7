//! Stand-ins for an OTLP collector: one that counts spans, and one that accepts and never answers.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tonic::{Request, Response, Status};
use tower_service::Service;

use super::eventually;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    /// In lower-case hexadecimal digits.
    pub(crate) trace_id: String,
    /// All attributes as text, `key=value`.
    pub(crate) attributes: Vec<String>,
}

/// A collector that keeps what it gets, over gRPC.
pub(crate) struct Collector {
    address: SocketAddr,
    spans: Spans,
    accepting: AbortHandle,
}

type Spans = Arc<Mutex<Vec<Span>>>;

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding the collector");
        let address = listener.local_addr().expect("a bound address");
        let spans = Spans::default();
        let service = TraceServiceServer::new(Keep(Arc::clone(&spans)));
        let accepting = tokio::spawn(accept(listener, service)).abort_handle();
        Self { address, spans, accepting }
    }

    /// For `telemetry.otlp_endpoint`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("the spans").clone()
    }

    /// Waits for a span of the trace `trace_id`.
    pub(crate) async fn span_of(&self, trace_id: &str, bound: Duration) -> Span {
        let what = format!("a span of trace {trace_id}");
        eventually(&what, bound, async || self.spans().into_iter().find(|span| span.trace_id == trace_id)).await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A listener whose connections are accepted and never answered.
pub(crate) struct Hanging {
    pub(crate) address: SocketAddr,
    accepting: AbortHandle,
}

impl Hanging {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding a hanging listener");
        let address = listener.local_addr().expect("a bound address");
        let accepting = tokio::spawn(async move {
            let mut held: Vec<TcpStream> = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Self { address, accepting: accepting.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: TraceServiceServer<Keep>) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        let answer = service_fn(move |request: hyper::Request<Incoming>| service.clone().call(request));
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

struct Keep(Spans);

#[tonic::async_trait]
impl TraceService for Keep {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        let arrived = scopes.flat_map(|scope| scope.spans).map(|span| Span {
            name: span.name,
            trace_id: hex(&span.trace_id),
            attributes: span.attributes.iter().map(|pair| format!("{}={}", pair.key, shown(pair))).collect(),
        });
        self.0.lock().expect("the spans").extend(arrived);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn shown(pair: &opentelemetry_proto::tonic::common::v1::KeyValue) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
