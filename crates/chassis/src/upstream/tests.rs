use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use axum::{Router, body::Body, response::IntoResponse};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    request::{self, RequestContext, TraceContext},
    values::{self, Size},
};

mod interim;
mod json;
#[cfg(feature = "tls")]
mod tls;

/// A server that answers with the given statuses, and then 200 for ever.
#[derive(Clone, Default)]
struct Script {
    statuses: Arc<Mutex<Vec<u16>>>,
    calls: Arc<AtomicUsize>,
    headers: Arc<Mutex<HeaderMap>>,
}

impl Script {
    fn new(statuses: &[u16]) -> Self {
        let script = Self::default();
        script.statuses.lock().unwrap().extend(statuses.iter().rev());
        script
    }

    fn answer(&self, headers: HeaderMap) -> impl IntoResponse + use<> {
        self.calls.fetch_add(1, SeqCst);
        *self.headers.lock().unwrap() = headers;
        let status = self.statuses.lock().unwrap().pop().unwrap_or(200);
        (StatusCode::from_u16(status).unwrap(), "body")
    }

    async fn serve(&self) -> SocketAddr {
        let script = self.clone();
        serve(Router::new().fallback(move |headers| async move { script.answer(headers) })).await
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn client(address: SocketAddr, change: impl FnOnce(&mut Settings)) -> (Upstream, Registry) {
    let registry = Registry::new();
    (client_of(&format!("http://{address}"), &registry, change).unwrap(), registry)
}

fn client_of(url: &str, registry: &Registry, change: impl FnOnce(&mut Settings)) -> Result<Upstream, UpstreamError> {
    let mut settings = Settings::default();
    change(&mut settings);
    let upstreams = Upstreams::new(registry, Propagation::new(None).unwrap()).unwrap();
    upstreams.client("rates", url, &settings)
}

fn text(registry: &Registry) -> String {
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

fn within(deadline: Instant) -> Arc<RequestContext> {
    let id = HeaderValue::from_static("request-1");
    Arc::new(RequestContext { id, trace: TraceContext::default(), span: None, baggage: None, deadline: Some(deadline) })
}

#[tokio::test]
async fn a_call_carries_id_trace_and_what_is_left_of_the_deadline() {
    let script = Script::default();
    let (upstream, registry) = client(script.serve().await, |_| {});
    let context = within(Instant::now() + Duration::from_secs(2));
    let response = request::scope(context, upstream.get("/v1/rates?a=1")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"body"[..]));
    let headers = script.headers.lock().unwrap().clone();
    assert_eq!(headers["x-request-id"], "request-1");
    let left: u64 = headers["x-request-timeout"].to_str().unwrap().parse().unwrap();
    assert!((1000..=2000).contains(&left), "{left}");
    assert!(text(&registry).contains(r#"upstream_request_duration_seconds_count{outcome="ok",upstream="rates"} 1"#));
}

#[tokio::test]
async fn a_span_has_the_attributes_that_are_recorded_later() {
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry());
    let (upstream, _) = client(SocketAddr::from(([127, 0, 0, 1], 1)), |_| {});
    let span = upstream.0.span(&Method::GET);
    for field in ["otel.status_code", "http.response.status_code", "http.request.resend_count", "error.type"] {
        assert!(span.has_field(field), "{field}");
    }
}

#[tokio::test]
async fn a_busy_upstream_is_asked_again() {
    let script = Script::new(&[503, 502]);
    let (upstream, registry) = client(script.serve().await, |_| {});
    assert_eq!(upstream.get("/").await.unwrap().status(), 200);
    assert_eq!(script.calls(), 3);
    assert!(text(&registry).contains(r#"upstream_retries_total{upstream="rates"} 2"#));
}

#[tokio::test]
async fn after_the_last_retry_the_upstreams_own_answer_comes_back() {
    let script = Script::new(&[503; 9]);
    let (upstream, _) = client(script.serve().await, |_| {});
    assert_eq!(upstream.get("/").await.unwrap().status(), 503);
    assert_eq!(script.calls(), 3);
}

#[tokio::test]
async fn what_is_not_idempotent_or_not_busy_is_not_asked_again() {
    let script = Script::new(&[503, 500, 404]);
    let (upstream, _) = client(script.serve().await, |_| {});
    let post = Request::builder().method(Method::POST).uri("/").body(Bytes::from_static(b"x")).unwrap();
    assert_eq!(upstream.send(post).await.unwrap().status(), 503);
    assert_eq!(upstream.get("/").await.unwrap().status(), 500);
    assert_eq!(upstream.get("/").await.unwrap().status(), 404);
    assert_eq!(script.calls(), 3);
}

#[tokio::test]
async fn the_budget_bounds_retries() {
    let script = Script::new(&[503; 1000]);
    let (upstream, _) = client(script.serve().await, |settings| settings.breaker_failures = u32::MAX);
    for _ in 0..100 {
        assert_eq!(upstream.get("/").await.unwrap().status(), 503);
    }
    let retries = script.calls() - 100;
    // The reserve of 10, and one for every five calls.
    assert!((25..=31).contains(&retries), "{retries}");
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone() {
    let script = Script::new(&[500; 100]);
    let (upstream, registry) = client(script.serve().await, |_| {});
    for _ in 0..5 {
        upstream.get("/").await.unwrap();
    }
    let error = upstream.get("/").await.unwrap_err();
    assert!(matches!(error, UpstreamError::CircuitOpen), "{error:?}");
    assert_eq!(script.calls(), 5);
    let text = text(&registry);
    assert!(text.contains(r#"upstream_circuit_open{upstream="rates"} 1"#), "{text}");
    assert!(text.contains(r#"upstream_request_duration_seconds_count{outcome="circuit_open",upstream="rates"} 1"#));
}

#[tokio::test]
async fn no_server_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (upstream, registry) = client(address, |_| {});
    let error = upstream.get("/").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
    let text = text(&registry);
    assert!(text.contains(r#"upstream_request_duration_seconds_count{outcome="connect_error",upstream="rates"} 1"#));
    assert!(text.contains(r#"upstream_retries_total{upstream="rates"} 2"#));
}

/// Accepts connections, reads a request from each, and closes the first `closed` of them without an answer.
async fn serve_closing(closed: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            if count.fetch_add(1, SeqCst) >= closed {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            }
        }
    });
    (address, accepted)
}

#[tokio::test]
async fn a_connection_closed_before_the_answer_is_retried_for_idempotent_calls_only() {
    let (address, accepted) = serve_closing(2).await;
    let (upstream, _) = client(address, |_| {});
    assert_eq!(upstream.get("/").await.unwrap().status(), 200);
    assert_eq!(accepted.load(SeqCst), 3);

    let (address, accepted) = serve_closing(2).await;
    let (upstream, _) = client(address, |_| {});
    let post = Request::builder().method(Method::POST).uri("/").body(Bytes::new()).unwrap();
    let error = upstream.send(post).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Closed(_)), "{error:?}");
    assert_eq!(accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn a_request_without_time_sends_nothing() {
    let script = Script::default();
    let (upstream, _) = client(script.serve().await, |_| {});
    let error = request::scope(within(Instant::now()), upstream.get("/")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::DeadlineExceeded), "{error:?}");
    assert_eq!(script.calls(), 0);
}

#[tokio::test]
async fn the_requests_deadline_bounds_the_call_and_does_not_open_the_circuit() {
    let address = serve(Router::new().fallback(std::future::pending::<()>)).await;
    let (upstream, _) = client(address, |settings| settings.breaker_failures = 1);
    for _ in 0..2 {
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(50);
        let error = request::scope(within(deadline), upstream.get("/")).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Timeout), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn the_timeout_covers_the_body_and_counts_against_the_upstream() {
    let hang = || async { Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()) };
    let (upstream, _) = client(serve(Router::new().fallback(hang)).await, |settings| {
        settings.timeout = values::Duration::from_millis(50);
        settings.connect_timeout = values::Duration::from_millis(40);
        settings.breaker_failures = 1;
    });
    assert!(matches!(upstream.get("/").await.unwrap_err(), UpstreamError::Timeout));
    assert!(matches!(upstream.get("/").await.unwrap_err(), UpstreamError::CircuitOpen));
}

#[tokio::test]
async fn an_answer_above_the_limit_is_refused() {
    let (upstream, _) = client(Script::default().serve().await, |settings| settings.max_body = Size::bytes(3));
    assert!(matches!(upstream.get("/").await.unwrap_err(), UpstreamError::TooLarge));
}

#[tokio::test]
async fn connections_are_kept_and_renewed_by_age() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&peers);
    let note = move |axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<SocketAddr>| async move {
        seen.lock().unwrap().push(peer);
    };
    let app = Router::new().fallback(note).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (upstream, _) = client(address, |_| {});
    // A connection goes back to the pool when its task is next polled, so the very next call may miss it.
    let kept = |peers: &Mutex<Vec<SocketAddr>>| peers.lock().unwrap().windows(2).any(|pair| pair[0] == pair[1]);
    for _ in 0..100 {
        upstream.get("/").await.unwrap();
    }
    assert!(kept(&peers));

    let (upstream, _) = client(address, |settings| settings.max_connection_age = values::Duration::from_millis(0));
    peers.lock().unwrap().clear();
    for _ in 0..3 {
        upstream.get("/").await.unwrap();
    }
    assert!(!kept(&peers));
}
