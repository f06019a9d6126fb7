//! The requests that opentelemetry-otlp's exporters make of the SDK's spans and log records.
//!
//! An exporter hands its request to the HTTP client that it was given. Ours keeps the message: it goes out with server
//! spans, over the protocol of the target, within the flush's deadline, and is sent again as the specification asks. So
//! the exporter's own endpoint, protocol and headers, which it may also read from the environment, have no effect.
//!
//! Next: [`super::target`].

use std::{
    future::Future,
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
    pub(super) fn encode(&self, spans: Vec<SpanData>) -> Bytes {
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
    pub(super) fn encode(&self, records: &[LogItem]) -> Bytes {
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
    /// The message of an `export`, which waits for nobody.
    fn after(&self, export: impl Future<Output = OTelSdkResult>) -> Bytes {
        let exported = export.now_or_never();
        debug_assert!(matches!(exported, Some(Ok(()))), "{exported:?}");
        std::mem::take(&mut *self.lock())
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
