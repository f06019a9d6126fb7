//! The requests that opentelemetry-otlp's exporters make of the SDK's spans and log records.
//!
//! An exporter hands its request to the HTTP client that it was given. Ours keeps the message: it goes out with server
//! spans, over the protocol of the target, within the flush's deadline, and is sent again as the specification asks. So
//! the exporter's own endpoint, protocol and headers, which it may also read from the environment, have no effect.
//!
//! Next: [`super::target`].

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter as _},
    trace::{SpanData, SpanExporter as _},
};

use super::{StartError, exporter::LogItem};

/// It is never asked.
const NOWHERE: &str = "http://localhost/";

/// Makes requests by the exporter `E`.
#[derive(Debug)]
pub(super) struct Requests<E> {
    exporter: E,
    kept: Kept,
}

impl Requests<SpanExporter> {
    pub(super) fn of_spans(resource: &Resource) -> Result<Self, StartError> {
        let kept = Kept::default();
        let builder = SpanExporter::builder().with_http().with_http_client(kept.clone());
        let mut exporter = configured(builder).build().map_err(failed)?;
        exporter.set_resource(resource);
        Ok(Self { exporter, kept })
    }

    /// An encoded `ExportTraceServiceRequest`.
    pub(super) fn encode(&self, spans: Vec<SpanData>) -> Result<Bytes, String> {
        self.kept.after(self.exporter.export(spans))
    }
}

impl Requests<LogExporter> {
    pub(super) fn of_logs(resource: &Resource) -> Result<Self, StartError> {
        let kept = Kept::default();
        let builder = LogExporter::builder().with_http().with_http_client(kept.clone());
        let mut exporter = configured(builder).build().map_err(failed)?;
        exporter.set_resource(resource);
        Ok(Self { exporter, kept })
    }

    /// An encoded `ExportLogsServiceRequest`.
    pub(super) fn encode(&self, records: &[LogItem]) -> Result<Bytes, String> {
        let borrowed: Vec<_> = records.iter().map(|(record, scope)| (record, scope)).collect();
        self.kept.after(self.exporter.export(LogBatch::new(&borrowed)))
    }
}

fn configured<B: WithExportConfig + WithHttpConfig>(builder: B) -> B {
    builder.with_endpoint(NOWHERE).with_protocol(Protocol::HttpBinary).with_retry_policy(RetryPolicy::disabled())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: ExporterBuildError) -> StartError {
    StartError::new("telemetry", error.to_string())
}

/// The client: it keeps the message of the last request, and answers that it was taken.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Bytes>>);

impl Kept {
    /// The message of an `export`, which waits for nobody; without it nothing may be sent, for a collector would take an
    /// empty message as a whole batch.
    fn after(&self, export: impl Future<Output = OTelSdkResult>) -> Result<Bytes, String> {
        let exported = export.now_or_never();
        let message = mem::take(&mut *self.lock());
        match exported {
            Some(Ok(())) => Ok(message),
            Some(Err(error)) => Err(format!("the batch could not be encoded: {error}")),
            None => Err("the batch could not be encoded: the exporter waits".into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Kept {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        *self.lock() = request.into_body();
        Box::pin(async { Ok(Response::new(Bytes::new())) })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn what_an_exporter_did_not_encode_is_no_message() {
        let kept = Kept::default();
        *kept.lock() = Bytes::from_static(b"message");
        assert_eq!(kept.after(ready(Ok(()))), Ok(Bytes::from_static(b"message")));
        let reason = kept.after(ready(Err(OTelSdkError::InternalFailure("out of order".into())))).unwrap_err();
        assert!(reason.contains("could not be encoded") && reason.contains("out of order"), "{reason}");
        assert!(kept.after(pending()).is_err());
    }
}
