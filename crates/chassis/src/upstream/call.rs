//! One call: deadline, span, attempts, and one attempt.
//!
//! Next: [`super::breaker`].

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::{self, Instant};
use tower::retry::budget::Budget;
use tracing::{Instrument, Span, field::Empty, info_span};

use super::{Inner, UpstreamError, breaker::Permit, interim::Interim, metrics::Outcome};
use crate::request;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");

/// 25 ms: a few times the latency of a nearby service, so that a short disturbance is over at the second attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

type Answer = Result<Response<Bytes>, UpstreamError>;

impl Inner {
    pub(super) async fn call(&self, request: Request<Bytes>) -> Answer {
        let begun = Instant::now();
        let span = self.span(request.method());
        let answer = self.try_until(self.deadline(begun), request).instrument(span.clone()).await;
        let outcome = match &answer {
            Ok(response) => Outcome::of(response.status()),
            Err(error) => error.outcome(),
        };
        record(&span, &answer, outcome);
        self.metrics.observe(outcome, begun.elapsed());
        answer
    }

    /// The nearer of the call's own timeout and the current request's deadline.
    pub(super) fn deadline(&self, begun: Instant) -> Instant {
        let own = begun + self.settings.timeout.get();
        let of_request = request::with_current(|current| current.and_then(|current| current.deadline));
        of_request.map_or(own, |deadline| own.min(Instant::from_std(deadline)))
    }

    /// The attributes of OpenTelemetry's semantic conventions for HTTP client spans.
    pub(super) fn span(&self, method: &Method) -> Span {
        info_span!(
            "upstream",
            otel.name = %method,
            otel.kind = "client",
            otel.status_code = Empty,
            upstream = self.name,
            http.request.method = %method,
            server.address = self.target.host(),
            server.port = self.target.port(),
            http.response.status_code = Empty,
            http.request.resend_count = Empty,
            "error.type" = Empty,
        )
    }

    async fn try_until(&self, deadline: Instant, request: Request<Bytes>) -> Answer {
        self.budget.deposit();
        let mut answer = self.try_once(deadline, &request).await;
        for retry in 1..=self.settings.retries {
            let pause = backoff(retry);
            if !retryable(request.method(), &answer) || Instant::now() + pause >= deadline || !self.budget.withdraw() {
                break;
            }
            time::sleep(pause).await;
            match self.try_once(deadline, &request).await {
                // The failure that opened the circuit is more specific.
                Err(UpstreamError::CircuitOpen) => break,
                next => answer = next,
            }
            self.metrics.retries.inc();
            Span::current().record("http.request.resend_count", retry);
        }
        answer
    }

    async fn try_once(&self, deadline: Instant, request: &Request<Bytes>) -> Answer {
        let granted = deadline.saturating_duration_since(Instant::now());
        if granted.is_zero() {
            return Err(UpstreamError::DeadlineExceeded);
        }
        let request = self.prepare(request, granted)?;
        let permit = self.breaker.acquire()?;
        let answer = match time::timeout_at(deadline, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(UpstreamError::Timeout),
        };
        self.judge(permit, &answer, granted);
        answer
    }

    /// The outgoing request: below the base URL, with the remaining deadline, the request id and the trace.
    fn prepare(&self, request: &Request<Bytes>, granted: Duration) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let mut outgoing = Request::new(Full::new(request.body().clone()));
        *outgoing.method_mut() = request.method().clone();
        *outgoing.uri_mut() = self.target.join(request.uri())?;
        outgoing.headers_mut().clone_from(request.headers());
        self.stamp(outgoing.headers_mut(), granted);
        Ok(outgoing)
    }

    fn stamp(&self, headers: &mut HeaderMap, granted: Duration) {
        let milliseconds = u64::try_from(granted.as_millis()).unwrap_or(u64::MAX).max(1);
        headers.insert(REQUEST_TIMEOUT, HeaderValue::from(milliseconds));
        request::with_current(|current| current.map(|current| headers.insert(REQUEST_ID, current.id.clone())));
        self.propagation.inject(headers);
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Answer {
        let interim = Interim::count(&mut request);
        let response = tokio::select! {
            response = self.pool.client().request(request) => response.map_err(UpstreamError::from_client)?,
            // Dropping the request closes its connection.
            () = interim.too_many() => return Err(UpstreamError::Interim),
        };
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, collect(body, self.settings.max_body.len()).await?))
    }

    /// Reports the attempt's outcome to the breaker.
    fn judge(&self, permit: Permit<'_>, answer: &Answer, granted: Duration) {
        match answer {
            Ok(response) if response.status().is_server_error() => permit.fail(),
            Ok(_) | Err(UpstreamError::TooLarge) => permit.succeed(),
            // An attempt with less time than connecting may take reflects the caller's deadline, not the upstream.
            Err(UpstreamError::Timeout) if granted < self.settings.connect_timeout.get() => drop(permit),
            Err(_) => permit.fail(),
        }
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, UpstreamError> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(UpstreamError::TooLarge),
        Err(error) => Err(UpstreamError::Body(error)),
    }
}

/// Full jitter: a random time up to a bound that doubles.
fn backoff(retry: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << (retry - 1).min(10)).mul_f64(fastrand::f64())
}

fn retryable(method: &Method, answer: &Answer) -> bool {
    const BUSY: [StatusCode; 3] =
        [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    method.is_idempotent()
        && match answer {
            Ok(response) => BUSY.contains(&response.status()),
            Err(error) => error.is_retryable(),
        }
}

fn record(span: &Span, answer: &Answer, outcome: Outcome) {
    if let Ok(response) = answer {
        span.record("http.response.status_code", response.status().as_u16());
    }
    if outcome != Outcome::Ok {
        span.record("error.type", outcome.as_str());
        span.record("otel.status_code", "ERROR");
    }
}
