//! Sends an OTLP request to a collector over gRPC or HTTP, with the service's existing hyper client.
//!
//! It implements one unary gRPC call (gRPC over HTTP/2, "Requests" and "Responses"): five bytes before the message,
//! and the status in the trailers. It sends once; who calls it decides what follows.
//!
//! Next: [`super::response`].

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{CONTENT_TYPE, TE, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{
    OtlpProtocol, StartError,
    response::{Again, Refusal, Taken, of_grpc, of_http},
    target::Target,
};
use crate::trust::{self, BadFile};

/// A collector's response to an export is a few bytes.
const MAX_RESPONSE: usize = 64 << 10;

/// As the specification's "User Agent" has it: the exporter with its language and version, and whose it is.
const AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"), " (", env!("CARGO_PKG_NAME"), ")");

type Hyper = Client<trust::Connector, Full<Bytes>>;

/// Where requests of one signal are posted.
pub(super) struct Sender {
    client: Hyper,
    is_grpc: bool,
    uri: Uri,
    headers: HeaderMap,
}

impl Sender {
    /// `call` is the path of the signal's gRPC call.
    pub(super) fn new(target: &Target, call: &str) -> Result<Self, StartError> {
        let is_grpc = target.protocol == OtlpProtocol::Grpc;
        let uri = if is_grpc { format!("{}{call}", origin(&target.endpoint)) } else { target.endpoint.clone() };
        let uri = uri.parse().map_err(|_| StartError::new("telemetry.otlp_endpoint", "is not a URL"))?;
        let mut headers = target.headers.clone();
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        let media = if is_grpc { "application/grpc" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        if is_grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        let connector = trust::connector(HttpConnector::new(), target.files()).map_err(bad_file)?;
        let client = Client::builder(TokioExecutor::new()).http2_only(is_grpc).build(connector);
        Ok(Self { client, is_grpc, uri, headers })
    }

    /// A message as the protocol frames it: over gRPC not compressed, and its length.
    pub(super) fn frame(&self, message: Vec<u8>) -> Bytes {
        if !self.is_grpc {
            return message.into();
        }
        let length = u32::try_from(message.len()).expect("a batch is far below 4 GiB");
        [&[0], &length.to_be_bytes()[..], &message].concat().into()
    }

    /// Posts one framed message.
    pub(super) async fn send(&self, body: Bytes) -> Result<Taken, Refusal> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        // No connection, or one that ended: the specification has it tried again.
        let response = self.client.request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let (body, trailers) = read(body).await?;
        if self.is_grpc && head.status.is_success() {
            return of_grpc(trailers.as_ref().unwrap_or(&head.headers), &body);
        }
        of_http(head.status, &head.headers, &body)
    }
}

/// Scheme, host and port: a gRPC call has its own path.
fn origin(endpoint: &str) -> &str {
    let authority = endpoint.find("://").map_or(0, |at| at + 3);
    let end = endpoint[authority..].find('/').map_or(endpoint.len(), |at| authority + at);
    &endpoint[..end]
}

/// Reads a response to its end: for what it says, for its trailers, and so that its connection can be reused. One that
/// is too long says nothing.
async fn read(body: Incoming) -> Result<(Bytes, Option<HeaderMap>), Refusal> {
    match Limited::new(body, MAX_RESPONSE).collect().await {
        Ok(body) => {
            let trailers = body.trailers().cloned();
            Ok((body.to_bytes(), trailers))
        }
        Err(error) if error.is::<LengthLimitError>() => Ok((Bytes::new(), None)),
        Err(error) => Err(broken(&*error)),
    }
}

fn bad_file(bad: BadFile) -> StartError {
    let (key, error) = match bad {
        BadFile::Authorities(error) => ("telemetry.otlp_ca_file", error),
        BadFile::Certificate(error) => ("telemetry.otlp_client_certificate_file", error),
        BadFile::Key(error) => ("telemetry.otlp_client_key_file", error),
    };
    StartError::new(key, error.to_string())
}

/// hyper's errors keep the reason in their causes.
fn broken(error: &(dyn std::error::Error + 'static)) -> Refusal {
    Refusal { reason: super::format::Chain(error).to_string(), again: Again::Soon }
}
