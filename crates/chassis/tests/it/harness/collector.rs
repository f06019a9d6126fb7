//! Stand-ins for an OTLP collector: one that keeps spans and logs, and one that accepts and never answers.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
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
    /// Likewise.
    pub(crate) id: String,
    /// The id of its parent; empty for a root.
    pub(crate) parent: String,
    /// `service.instance.id` of the replica that sent it.
    pub(crate) replica: String,
    /// All attributes as text, `key=value`.
    pub(crate) attributes: Vec<String>,
}

/// A log record as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) body: String,
    /// In lower-case hexadecimal digits; empty outside a request.
    pub(crate) trace_id: String,
    /// All attributes as text, `key=value`.
    pub(crate) attributes: Vec<String>,
}

/// A collector that keeps what it gets, over gRPC.
pub(crate) struct Collector {
    address: SocketAddr,
    kept: Kept,
    accepting: AbortHandle,
}

/// What came, in the order in which it came.
#[derive(Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Span>>>,
    logs: Arc<Mutex<Vec<Log>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding the collector");
        let address = listener.local_addr().expect("a bound address");
        let kept = Kept::default();
        let accepting = tokio::spawn(accept(listener, kept.clone())).abort_handle();
        Self { address, kept, accepting }
    }

    /// For `telemetry.otlp_endpoint`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().expect("the spans").clone()
    }

    pub(crate) fn logs(&self) -> Vec<Log> {
        self.kept.logs.lock().expect("the logs").clone()
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

async fn accept(listener: TcpListener, kept: Kept) {
    let (traces, logs) = (TraceServiceServer::new(kept.clone()), LogsServiceServer::new(kept));
    while let Ok((stream, _)) = listener.accept().await {
        let (traces, logs) = (traces.clone(), logs.clone());
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let (mut traces, mut logs) = (traces.clone(), logs.clone());
            async move {
                let of_logs = request.uri().path().starts_with("/opentelemetry.proto.collector.logs.");
                if of_logs { logs.call(request).await } else { traces.call(request).await }
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for sent in request.into_inner().resource_spans {
            let replica = replica(sent.resource.as_ref());
            let arrived = sent.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| Span {
                name: span.name,
                trace_id: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                replica: replica.clone(),
                attributes: texts(&span.attributes),
            });
            self.spans.lock().expect("the spans").extend(arrived);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Kept {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let arrived = scopes.flat_map(|scope| scope.log_records).map(|record| Log {
            body: text(record.body.as_ref()),
            trace_id: hex(&record.trace_id),
            attributes: texts(&record.attributes),
        });
        self.logs.lock().expect("the logs").extend(arrived);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn replica(resource: Option<&Resource>) -> String {
    let mut attributes = resource.into_iter().flat_map(|resource| &resource.attributes);
    let named = attributes.find(|pair| pair.key == "service.instance.id");
    named.map(|pair| text(pair.value.as_ref())).unwrap_or_default()
}

fn texts(attributes: &[KeyValue]) -> Vec<String> {
    attributes.iter().map(|pair| format!("{}={}", pair.key, text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
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
