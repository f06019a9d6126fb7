//! Sends an OTLP request to a collector over gRPC or HTTP, with the service's existing hyper client.
//!
//! It implements one unary gRPC call (gRPC over HTTP/2, "Requests" and "Responses"): five bytes before the message,
//! and the status in the trailers.
//!
//! Next: [`super::variables`].

use std::{future::Future, pin::Pin};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{CONTENT_TYPE, TE},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_http::{Bytes, HttpClient, HttpError};

use super::{OtlpProtocol, StartError};

/// The call that takes spans.
const EXPORT_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// A collector's response to an export is a few bytes.
const MAX_RESPONSE: usize = 64 << 10;

/// A client without TLS: the collector is local.
type Hyper = Client<HttpConnector, Full<Bytes>>;

/// Where spans are posted.
pub(super) struct Sender {
    client: Hyper,
    protocol: OtlpProtocol,
    uri: Uri,
    headers: HeaderMap,
}

impl Sender {
    pub(super) fn new(protocol: OtlpProtocol, endpoint: &str, headers: &HeaderMap) -> Result<Self, StartError> {
        let is_grpc = protocol == OtlpProtocol::Grpc;
        let uri = if is_grpc { format!("{}{EXPORT_TRACES}", origin(endpoint)) } else { endpoint.to_owned() };
        let uri = uri.parse().map_err(|_| StartError::new("telemetry.otlp_endpoint", "is not a URL"))?;
        let mut headers = headers.clone();
        let media = if is_grpc { "application/grpc" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        if is_grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        let client = Client::builder(TokioExecutor::new()).http2_only(is_grpc).build_http();
        Ok(Self { client, protocol, uri, headers })
    }

    /// Posts one `message`.
    pub(super) async fn send(&self, message: Vec<u8>) -> Result<(), String> {
        let is_grpc = self.protocol == OtlpProtocol::Grpc;
        let body = if is_grpc { framed(&message) } else { message };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let response = self.client.request(request).await.map_err(|error| with_causes(&error))?;
        if !response.status().is_success() {
            return Err(format!("the collector responded with status {}", response.status()));
        }
        if is_grpc { grpc_status(response).await } else { read(response).await.map(drop) }
    }
}

/// Scheme, host and port: a gRPC call has its own path.
fn origin(endpoint: &str) -> &str {
    let authority = endpoint.find("://").map_or(0, |at| at + 3);
    let end = endpoint[authority..].find('/').map_or(endpoint.len(), |at| authority + at);
    &endpoint[..end]
}

/// A message as gRPC frames it: not compressed, and its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a batch is far below 4 GiB");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The status is in the trailers, or in the headers of a response without a body.
async fn grpc_status(response: Response<Incoming>) -> Result<(), String> {
    let (head, body) = response.into_parts();
    let trailers = if head.headers.contains_key("grpc-status") { None } else { read(Response::new(body)).await? };
    let told = trailers.unwrap_or(head.headers);
    match told.get("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"0") => Ok(()),
        status => {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let message = told.get("grpc-message").map(|value| text(value.as_bytes())).unwrap_or_default();
            Err(format!("the collector responded with grpc-status {} {message}", status.map_or("none".into(), text)))
        }
    }
}

/// Reads a response to its end, for its trailers and so that its connection can be reused.
async fn read(response: Response<Incoming>) -> Result<Option<HeaderMap>, String> {
    let body = Limited::new(response.into_body(), MAX_RESPONSE).collect().await.map_err(|error| error.to_string())?;
    Ok(body.trailers().cloned())
}

/// hyper's errors keep the reason in their causes.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    super::format::Chain(error).to_string()
}

/// Posts what the exporters' crate encodes, with the same client.
#[derive(Debug)]
pub(super) struct HyperSender(Hyper);

impl HyperSender {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl HttpClient for HyperSender {
    // Written as `async_trait` expands it.
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        let response = self.0.request(request.map(Full::new));
        Box::pin(async move {
            let (head, body) = response.await?.into_parts();
            let body = Limited::new(body, MAX_RESPONSE).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        })
    }
}
