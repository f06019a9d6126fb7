//! The admin listener: probes, metrics and the live configuration, for the platform and its operators.
//!
//! It has a thread and a runtime of its own (the program's main thread), so that it answers when every I/O worker is
//! blocked and closes last. Its connections are served by the same code as the app's, under bounds of their own. It
//! is never part of the public port.
//!
//! Next: `probes`.

mod heartbeat;
pub mod healthcheck;
pub(crate) mod probes;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use prometheus::Registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use self::heartbeat::Heartbeat;
use self::probes::Probes;
use super::{
    connection::{self, Connections, Http, Limits},
    faults::{Faults, Plan},
    health,
    host::Host,
    lifecycle::Lifecycle,
    listener::Tcp,
    problem::{Code, Problem},
    server::{self, AcceptErrors, Server},
    telemetry::{self, LogControl},
};

/// Settings `admin.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the admin listener. The default lets in nobody from outside; image and chart set `[::]:8081`, where probes come from. Never expose it beyond the cluster.
    pub listen: String,
    /// Allows `PUT /log-filter` and `PUT /faults`.
    pub mutable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // Loopback: what has no authentication is opened by whoever knows the network.
        Self { listen: "127.0.0.1:8081".into(), mutable: false }
    }
}

/// What the admin routes show and change.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) probes: Probes,
    pub(crate) registry: Registry,
    pub(crate) logs: LogControl,
    pub(crate) faults: Faults,
    pub(crate) mutable: bool,
    /// `GET /version`.
    pub(crate) version: Value,
    /// `GET /config`, made when asked for.
    pub(crate) config: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl Admin {
    /// The admin routes.
    pub(crate) fn router(self) -> Router {
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
        return Problem::new(Code::NotFound).with_detail("There is no check of this name.").into_response();
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

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], telemetry::render(&admin.registry)).into_response()
}

async fn log_filter(State(admin): State<Admin>) -> String {
    admin.logs.filter()
}

async fn set_log_filter(State(admin): State<Admin>, filter: String) -> Result<String, Problem> {
    admin.check_mutable()?;
    admin.logs.set_filter(filter.trim()).map_err(|error| Problem::new(Code::MalformedRequest).with_detail(error))?;
    tracing::info!(filter = %admin.logs.filter(), "the log filter was changed on the admin listener");
    Ok(admin.logs.filter())
}

async fn set_faults(State(admin): State<Admin>, body: String) -> Result<Json<Plan>, Problem> {
    admin.check_mutable()?;
    let malformed = |detail: String| Problem::new(Code::MalformedRequest).with_detail(detail);
    let plan: Plan = serde_json::from_str(&body).map_err(|error| malformed(error.to_string()))?;
    plan.validate().map_err(|wrong| malformed(wrong.join("; ")))?;
    tracing::warn!(rules = plan.rules.len(), unready_for = %plan.unready_for, "faults were set on the admin listener");
    admin.faults.set(plan);
    Ok(Json(admin.faults.plan()))
}

impl Admin {
    fn check_mutable(&self) -> Result<(), Problem> {
        if self.mutable {
            return Ok(());
        }
        Err(Problem::custom(StatusCode::FORBIDDEN, "not_mutable").with_detail("The setting admin.mutable is off."))
    }
}

/// The admin listener's address among the listen URLs.
pub(crate) fn url(listen: &str) -> String {
    format!("admin://{listen}")
}

/// More than any monitoring opens, and too few to matter.
const MAX_CONNECTIONS: usize = 256;

/// The running admin listener.
pub(crate) struct Running {
    /// None once it accepts.
    server: Option<Server<Tcp, Http>>,
    connections: Arc<Connections>,
    lifecycle: Lifecycle,
    stop: CancellationToken,
}

impl Running {
    /// Binds `listen`. Call it inside a runtime.
    ///
    /// # Errors
    /// What the system says of the address.
    pub(crate) fn bind(host: &Host, listen: &str) -> io::Result<(SocketAddr, Tcp)> {
        let listener = host.bind(&url(listen), server::Settings::default().backlog)?;
        Ok((listener.local_addr()?, listener))
    }

    /// What will serve `router` on `listener`.
    pub(crate) fn new(listener: Tcp, router: Router) -> Self {
        let settings =
            server::Settings { max_connection_age: super::config::Duration::default(), ..server::Settings::default() };
        let lifecycle = Lifecycle::new(None);
        let limits = Limits::new(Arc::new(ArcSwap::from_pointee(settings)), lifecycle.clone());
        let connections = Connections::new(MAX_CONNECTIONS, connection::Metrics::new(None));
        let stop = CancellationToken::new();
        let server = Server {
            listener,
            protocol: Http::new(router.into(), limits),
            connections: Arc::clone(&connections),
            errors: AcceptErrors::new(None),
            accepting: Arc::new(AtomicBool::new(false)),
        };
        Self { server: Some(server), connections, lifecycle, stop }
    }

    /// Accepts, on the present runtime.
    pub(crate) fn accept(&mut self) {
        if let Some(server) = self.server.take() {
            tokio::spawn(server.run(self.stop.clone()));
        }
    }

    /// A successor accepts at the same address: each open connection ends with its next answer.
    pub(crate) fn hand_over(&self) {
        self.stop.cancel();
        self.lifecycle.begin_drain(Duration::ZERO);
        self.connections.drain();
    }

    /// Lets answers in flight out, and closes.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.connections.close_all();
        // 250 ms: an answer takes a fraction of it, and a silent peer must not hold up the exit.
        let _ = tokio::time::timeout(Duration::from_millis(250), self.connections.closed()).await;
    }
}
