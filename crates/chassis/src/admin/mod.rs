//! The admin listener: probes, metrics and the live configuration, for the platform and its operators.
//!
//! It has a thread and a runtime of its own (the program's main thread), so that it answers when every I/O worker is
//! blocked and closes last. Its connections are served by the same code as the app's, under bounds of their own. It
//! is never part of the public port.
//!
//! Next: `probes`.

pub(crate) mod agent;
mod guard;
mod heartbeat;
pub(crate) mod healthcheck;
pub(crate) mod probes;
mod scrape;
mod settings;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::{Path, RawQuery, State},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prometheus::Registry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use self::heartbeat::Heartbeat;
pub(crate) use self::scrape::Scrape;
pub(crate) use self::settings::Settings;
use self::{
    guard::{Guard, guard},
    probes::Probes,
};
use super::{
    connection::{self, Connections, Http, Limits, Rules},
    faults::{Faults, Plan},
    health,
    lifecycle::Lifecycle,
    listener::Tcp,
    middleware::routes::Routes,
    peer::ConnectionInfo,
    problem::{Code, Problem},
    server::{AcceptErrors, Server},
    telemetry::LogControl,
};

/// What the admin routes show and change.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) probes: Probes,
    pub(crate) registry: Registry,
    pub(crate) scrape: Scrape,
    pub(crate) logs: LogControl,
    pub(crate) faults: Faults,
    /// `GET /version`.
    pub(crate) version: Value,
    /// `GET /config`, rendered on request.
    pub(crate) config: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl Admin {
    /// The admin routes, inside their guard.
    pub(crate) fn router(self, settings: &Settings) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/readyz/{name}", get(readyz_one))
            .route("/startupz", get(startupz))
            .route("/metrics", get(metrics))
            .route("/version", get(async |State(admin): State<Self>| Json(admin.version)))
            .route("/config", get(async |State(admin): State<Self>| Json((admin.config)())))
            .route("/log-filter", get(log_filter).put(set_log_filter))
            .route("/faults", get(async |State(admin): State<Self>| Json(admin.faults.plan())).put(set_faults))
            .fallback(async || Problem::new(Code::NotFound))
            .with_state(self)
            .layer(middleware::from_fn_with_state(Guard::new(settings), guard))
    }
}

async fn livez(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    respond(health::render("livez", &admin.probes.live(), &health::Options::parse(query.as_deref())))
}

async fn readyz(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    admin.probes.answer_ready(query.as_deref())
}

async fn readyz_one(State(admin): State<Admin>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let one: Vec<_> = admin.probes.ready().into_iter().filter(|(check, _)| *check == name).collect();
    if one.is_empty() {
        return Problem::new(Code::NotFound).with_detail("No health check has this name.").into_response();
    }
    respond(health::render("readyz", &one, &health::Options::parse(query.as_deref())))
}

async fn startupz(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    respond(health::render("startupz", &admin.probes.started(), &health::Options::parse(query.as_deref())))
}

fn respond((status, body): (StatusCode, String)) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

async fn metrics(State(admin): State<Admin>, Extension(connection): Extension<ConnectionInfo>) -> Response {
    let asking = admin.scrape.ask();
    if asking.is_crowded() {
        connection.close();
    }
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], asking.text(&admin.registry).await).into_response()
}

async fn log_filter(State(admin): State<Admin>) -> String {
    admin.logs.filter()
}

async fn set_log_filter(State(admin): State<Admin>, filter: String) -> Result<String, Problem> {
    admin.logs.set_filter(filter.trim()).map_err(|error| Problem::new(Code::MalformedRequest).with_detail(error))?;
    tracing::info!(filter = %admin.logs.filter(), "log filter changed by PUT /log-filter");
    Ok(admin.logs.filter())
}

async fn set_faults(State(admin): State<Admin>, body: String) -> Result<Json<Plan>, Problem> {
    let malformed = |detail: String| Problem::new(Code::MalformedRequest).with_detail(detail);
    let plan: Plan = serde_json::from_str(&body).map_err(|error| malformed(error.to_string()))?;
    plan.validate().map_err(|wrong| malformed(wrong.join("; ")))?;
    tracing::warn!(rules = plan.rules.len(), unready_for = %plan.unready_for, "fault plan replaced by PUT /faults");
    admin.faults.set(plan);
    Ok(Json(admin.faults.plan()))
}

/// The admin listener's address among the listen URLs.
pub(crate) fn url(listen: &str) -> String {
    format!("admin://{listen}")
}

/// More than any monitoring opens, and few enough to be cheap. At the limit the connection that has waited longest for its
/// peer is closed, whatever it waits for and whatever its address: a probe is always accepted.
const MAX_CONNECTIONS: usize = 256;

/// The running admin listener.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// None once it accepts.
    server: Option<Server<Tcp, Http<Routes>>>,
    connections: Arc<Connections>,
    lifecycle: Lifecycle,
    stop: CancellationToken,
}

impl Running {
    /// What will serve `router` on `listener`, which is bound to `address`.
    pub(crate) fn new(listener: Tcp, address: SocketAddr, router: Router, settings: &Settings) -> Self {
        let lifecycle = Lifecycle::new(None);
        let bounds = settings.of_connections();
        let heads = connection::most_of_heads(bounds.max_head.len());
        let limits = Limits::with_total(bounds, lifecycle.clone(), settings.request_timeout.get());
        let rules = Rules { shared: everyone(), eager: true, heads };
        let connections = Connections::new(MAX_CONNECTIONS, rules, connection::Metrics::new(None));
        let stop = CancellationToken::new();
        let server = Server {
            listener,
            protocol: Http::new(Routes::from(router), limits),
            connections: Arc::clone(&connections),
            errors: AcceptErrors::new(None),
            accepting: Arc::new(AtomicBool::new(false)),
        };
        Self { address, server: Some(server), connections, lifecycle, stop }
    }

    /// Accepts, on the present runtime.
    pub(crate) fn accept(&mut self) {
        if let Some(server) = self.server.take() {
            tokio::spawn(server.run(self.stop.clone()));
        }
    }

    /// A new process accepts at the same address: each open connection ends with its next response.
    pub(crate) fn hand_over(&self) {
        self.stop.cancel();
        self.lifecycle.begin_drain(Duration::ZERO);
        self.connections.drain();
    }

    /// Finishes responses in flight, then closes.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.connections.close_all();
        // 250 ms: a response takes a fraction of it, and a silent peer must not delay the exit.
        let _ = tokio::time::timeout(Duration::from_millis(250), self.connections.closed()).await;
    }
}

/// Every address: none of them is counted.
fn everyone() -> Vec<IpNet> {
    vec![Ipv4Net::default().into(), Ipv6Net::default().into()]
}
