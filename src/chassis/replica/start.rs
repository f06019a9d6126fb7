//! The parts of a replica, made and started in order.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use arc_swap::ArcSwap;
use axum::routing::get;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Chassis, StartError};
use crate::chassis::{
    admin::{Admin, Heartbeat, Running, probes::Probes},
    config::{self, AppSettings, Live, Source},
    connection::{self, Connections, Http, Limits},
    faults::Faults,
    health::Checks,
    lifecycle::Lifecycle,
    listener::Tcp,
    middleware::{self, Served, Stack},
    overload::Overload,
    router::Router,
    runtime,
    server::{self, AcceptErrors, Server},
    telemetry::{Identity, Telemetry},
};

/// A running replica.
pub(super) struct Replica<A> {
    pub(super) live: Arc<Live<A>>,
    pub(super) config_metrics: config::Metrics,
    pub(super) telemetry: Telemetry,
    pub(super) lifecycle: Lifecycle,
    pub(super) connections: Arc<Connections>,
    pub(super) server_settings: Arc<ArcSwap<server::Settings>>,
    pub(super) overload: Overload,
    pub(super) faults: Faults,
    pub(super) admin: Running,
    pub(super) accept: Accept,
}

/// The accept loops.
pub(super) struct Accept {
    pub(super) stop: CancellationToken,
    pub(super) loops: TaskTracker,
}

impl<A: AppSettings> Replica<A> {
    pub(super) fn start<F>(
        live: Arc<Live<A>>,
        identity: Identity,
        telemetry: &Telemetry,
        io: &Handle,
        work: &Handle,
        app: F,
    ) -> Result<Self, StartError>
    where
        F: FnOnce(&A, &Chassis) -> Result<Router, StartError>,
    {
        let settings = live.get();
        for note in &live.loaded().notes {
            tracing::warn!("{note}");
        }
        let registry = telemetry.registry();
        let lifecycle = Lifecycle::new(Some(registry));
        let faults = Faults::new(&settings.faults);
        let checks = Checks::new(registry).map_err(metrics)?;
        let config_metrics = config::Metrics::new(registry).map_err(metrics)?;
        config_metrics.record(&live);
        let heartbeat = Heartbeat::new();
        tokio::spawn(heartbeat.clone().run(io.clone()));

        let accepting: Vec<_> = settings.server.listen.iter().map(|_| Arc::new(AtomicBool::new(false))).collect();
        let probes = Probes::new(lifecycle.clone(), heartbeat, accepting.clone(), faults.clone(), checks.clone());
        let admin = Self::start_admin(&live, &identity, &telemetry, &probes, &faults)?;

        let served = Arc::new(Served::default());
        let chassis = Chassis {
            registry: registry.clone(),
            checks: checks.clone(),
            drain: lifecycle.drain(),
            propagation: telemetry.propagation().clone(),
            identity,
            served: Arc::clone(&served),
        };
        let _inside = io.enter();
        let listeners = bind(&live)?;
        let router = app(&settings.app, &chassis)?.merge(healthz(&probes));
        checks.start(io);

        let server_settings = Arc::new(ArcSwap::from_pointee(settings.server.clone()));
        let overload = Overload::new(&settings.overload, settings.runtime.work_threads(), registry);
        let parts = middleware::Parts {
            settings: Arc::clone(&server_settings),
            overload: overload.clone(),
            faults: faults.clone(),
            tracing: telemetry.tracing().clone(),
            access: telemetry.access().clone(),
            work: work.clone(),
            served,
        };
        let router = router.build(&Stack::new(parts, registry));
        let grace = settings.lifecycle.drain_timeout.get();
        let limits = Limits::new(Arc::clone(&server_settings), lifecycle.clone(), grace);
        let max = runtime::max_connections(settings.server.max_connections);
        let connections = Connections::new(max, connection::Metrics::new(Some(registry)));
        let accept = Accept { stop: CancellationToken::new(), loops: TaskTracker::new() };
        let errors = AcceptErrors::new(Some(registry));
        let http = Http::new(router, limits);
        for (listener, accepting) in listeners.into_iter().zip(accepting) {
            let (protocol, connections, errors) = (http.clone(), Arc::clone(&connections), errors.clone());
            let server = Server { listener, protocol, connections, errors, accepting };
            accept.loops.spawn_on(server.run(accept.stop.clone()), io);
        }
        accept.loops.close();
        lifecycle.ready();
        tracing::info!(max_connections = max, config_hash = %live.loaded().hash, "started");
        Ok(Self {
            live,
            config_metrics,
            telemetry: telemetry.clone(),
            lifecycle,
            connections,
            server_settings,
            overload,
            faults,
            admin,
            accept,
        })
    }

    fn start_admin(
        live: &Arc<Live<A>>,
        identity: &Identity,
        telemetry: &Telemetry,
        probes: &Probes,
        faults: &Faults,
    ) -> Result<Running, StartError> {
        let settings = live.get();
        let shown = Arc::clone(live);
        let admin = Admin {
            probes: probes.clone(),
            registry: telemetry.registry().clone(),
            logs: telemetry.logs().clone(),
            faults: faults.clone(),
            mutable: settings.admin.mutable,
            version: json!(identity),
            config: Arc::new(move || show(&shown)),
        };
        let listen = &settings.admin.listen;
        let running = Running::start(listen, admin.router())
            .map_err(|error| cannot_bind("admin", listen, &live.loaded().source("admin.listen"), &error))?;
        tracing::info!(target: "listener", listener = "admin", url = %format_args!("http://{}", running.address), "listening");
        Ok(running)
    }
}

/// `/healthz` on the traffic port, for balancers that can probe no other.
fn healthz(probes: &Probes) -> Router {
    let probes = probes.clone();
    let answer = move |axum::extract::RawQuery(query): axum::extract::RawQuery| async move {
        probes.answer_ready(query.as_deref())
    };
    Router::new().probe("/healthz", get(answer))
}

/// Binds every URL of `server.listen`.
fn bind<A: AppSettings>(live: &Arc<Live<A>>) -> Result<Vec<Tcp>, StartError> {
    let settings = live.get();
    let source = live.loaded().source("server.listen");
    let bind = |url: &String| {
        let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let bound = Tcp::bind(authority, settings.server.backlog).and_then(|tcp| Ok((tcp.local_addr()?, tcp)));
        let (address, tcp) = bound.map_err(|error| cannot_bind("app", url, &source, &error))?;
        tracing::info!(target: "listener", listener = "app", url = %format_args!("http://{address}"), "listening");
        Ok(tcp)
    };
    settings.server.listen.iter().map(bind).collect()
}

fn cannot_bind(listener: &str, address: &str, source: &Source, error: &io::Error) -> StartError {
    let key = if listener == "admin" { "admin.listen" } else { "server.listen" };
    StartError::new(format!("binding the {listener} listener on {address} ({key} from {source})"), error)
}

/// `GET /config`.
fn show<A: AppSettings>(live: &Live<A>) -> serde_json::Value {
    json!({
        "generation": live.generation(),
        "hash": live.loaded().hash,
        "restart_pending": live.restart_pending(),
        "settings": config::redacted(&live.get()),
    })
}

fn metrics(error: prometheus::Error) -> StartError {
    StartError::new("registering metrics", error)
}
