//! The parts of a replica, made and started in order.
//!
//! Next: [`super::live`].

use std::{
    fmt, io,
    sync::{Arc, atomic::AtomicBool},
};

use arc_swap::ArcSwap;
use axum::{extract::RawQuery, routing::get};
use prometheus::Registry;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Chassis, StartError};
use crate::chassis::{
    admin::{Admin, Heartbeat, Running, probes::Probes},
    config::{self, AppSettings, Live, Source, listen},
    connection::{self, Connections, Limits},
    faults::Faults,
    health::Checks,
    lifecycle::Lifecycle,
    listener::{Access, Bound},
    middleware::{self, Served, Stack},
    overload::Overload,
    router::Router,
    runtime,
    server::{self, AcceptErrors},
    telemetry::{Identity, Telemetry},
    transports::{self, Doors, Shared},
};

/// A running replica.
pub(super) struct Replica<A> {
    pub(super) live: Arc<Live<A>>,
    pub(super) config_metrics: config::Metrics,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) lifecycle: Lifecycle,
    pub(super) faults: Faults,
    pub(super) admin: Running,
    pub(super) door: Door,
}

impl<A: AppSettings> Replica<A> {
    pub(super) fn start<F, E>(
        live: Arc<Live<A>>,
        identity: Identity,
        telemetry: &Arc<Telemetry>,
        io: &Handle,
        work: &Handle,
        app: F,
    ) -> Result<Self, StartError>
    where
        F: FnOnce(&A, &Chassis) -> Result<Router, E>,
        E: fmt::Display,
    {
        let registry = telemetry.registry();
        let config_metrics = config::Metrics::new(registry).map_err(metrics)?;
        config_metrics.record(&live);
        for note in &live.loaded().notes {
            tracing::warn!("{note}");
        }
        let verdicts = Verdicts::start(&live, registry, io)?;
        let admin = start_admin(&live, &identity, telemetry, &verdicts)?;
        let chassis = Chassis {
            registry: registry.clone(),
            checks: verdicts.checks.clone(),
            drain: verdicts.lifecycle.drain(),
            propagation: telemetry.propagation().clone(),
            identity,
            served: Arc::default(),
        };
        let _inside = io.enter();
        let listeners = bind(&live)?;
        let routes = app(&live.get().app, &chassis).map_err(|error| StartError::new("starting the app", error))?;
        let routes = routes.merge(healthz(&verdicts.probes));
        verdicts.checks.start(io);
        let door = Door::open(listeners, routes, &live, telemetry, &verdicts, &chassis.served, work);
        let Verdicts { lifecycle, faults, .. } = verdicts;
        lifecycle.ready();
        tracing::info!(config_hash = %live.loaded().hash, "started");
        Ok(Self { live, config_metrics, telemetry: Arc::clone(telemetry), lifecycle, faults, admin, door })
    }
}

/// What the probes' verdicts are made of.
struct Verdicts {
    lifecycle: Lifecycle,
    faults: Faults,
    checks: Checks,
    accepting: Vec<Arc<AtomicBool>>,
    probes: Probes,
}

impl Verdicts {
    fn start<A: AppSettings>(live: &Live<A>, registry: &Registry, io: &Handle) -> Result<Self, StartError> {
        let settings = live.get();
        let lifecycle = Lifecycle::new(Some(registry));
        let faults = Faults::new(&settings.faults);
        let checks = Checks::new(registry).map_err(metrics)?;
        let accepting: Vec<_> = settings.server.listen.iter().map(|_| Arc::default()).collect();
        let heartbeat = Heartbeat::new();
        tokio::spawn(heartbeat.clone().run(io.clone()));
        let probes = Probes::new(lifecycle.clone(), heartbeat, accepting.clone(), faults.clone(), checks.clone());
        Ok(Self { lifecycle, faults, checks, accepting, probes })
    }
}

fn start_admin<A: AppSettings>(
    live: &Arc<Live<A>>,
    identity: &Identity,
    telemetry: &Telemetry,
    verdicts: &Verdicts,
) -> Result<Running, StartError> {
    let settings = live.get();
    let shown = Arc::clone(live);
    let admin = Admin {
        probes: verdicts.probes.clone(),
        registry: telemetry.registry().clone(),
        logs: telemetry.log_control().clone(),
        faults: verdicts.faults.clone(),
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

/// The app's listeners, their accept loops and their connections.
pub(super) struct Door {
    pub(super) settings: Arc<ArcSwap<server::Settings>>,
    pub(super) overload: Overload,
    pub(super) connections: Arc<Connections>,
    pub(super) stop: CancellationToken,
    pub(super) loops: TaskTracker,
}

impl Door {
    /// Accepts on `listeners`, on the runtime that is entered.
    fn open<A: AppSettings>(
        listeners: Vec<(Bound, transports::Door)>,
        routes: Router,
        live: &Live<A>,
        telemetry: &Telemetry,
        verdicts: &Verdicts,
        served: &Arc<Served>,
        work: &Handle,
    ) -> Self {
        let (all, registry) = (live.get(), telemetry.registry());
        let settings = Arc::new(ArcSwap::from_pointee(all.server.clone()));
        let overload = Overload::new(&all.overload, all.runtime.work_threads(), registry);
        let parts = middleware::Parts {
            settings: Arc::clone(&settings),
            overload: overload.clone(),
            faults: verdicts.faults.clone(),
            tracing: telemetry.tracing().clone(),
            access: telemetry.access_log().clone(),
            work: work.clone(),
            served: Arc::clone(served),
        };
        let limits = Limits::new(Arc::clone(&settings), verdicts.lifecycle.clone());
        let doors = Doors::new(routes.build(&Stack::new(parts, registry)), limits);
        let max = runtime::max_connections(all.server.max_connections);
        let connections = Connections::new(max, connection::Metrics::new(Some(registry)));
        let door = Self { settings, overload, connections, stop: CancellationToken::new(), loops: TaskTracker::new() };
        door.accept(listeners, &verdicts.accepting, &doors, &AcceptErrors::new(Some(registry)));
        door
    }

    fn accept(
        &self,
        listeners: Vec<(Bound, transports::Door)>,
        accepting: &[Arc<AtomicBool>],
        doors: &Doors,
        errors: &AcceptErrors,
    ) {
        for ((listener, door), accepting) in listeners.into_iter().zip(accepting) {
            let shared = Shared {
                connections: Arc::clone(&self.connections),
                errors: errors.clone(),
                accepting: Arc::clone(accepting),
            };
            self.loops.spawn(doors.clone().accept(listener, door, shared, self.stop.clone()));
        }
        self.loops.close();
    }
}

/// `/healthz` on the traffic port, for balancers that can probe no other.
fn healthz(probes: &Probes) -> Router {
    let probes = probes.clone();
    let answer = move |RawQuery(query): RawQuery| async move { probes.answer_ready(query.as_deref()) };
    Router::new().probe("/healthz", get(answer))
}

/// Binds every URL of `server.listen`.
fn bind<A: AppSettings>(live: &Arc<Live<A>>) -> Result<Vec<(Bound, transports::Door)>, StartError> {
    let settings = &live.get().server;
    let source = live.loaded().source("server.listen");
    let access = Access { mode: &settings.unix_mode, owner: settings.unix_owner.as_deref() };
    let bind = |url: &String| {
        let refused = |_| io::Error::new(io::ErrorKind::InvalidInput, "not a listen URL");
        let bound = listen::parse(url).map_err(refused).and_then(|listen| {
            let (bound, at) = Bound::bind(&listen.address, &access, settings.backlog)?;
            Ok((bound, at, listen.door))
        });
        let (bound, at, door) = bound.map_err(|error| cannot_bind("app", url, &source, &error))?;
        tracing::info!(target: "listener", listener = "app", url = %format_args!("{}{at}", door.scheme()), "listening");
        Ok((bound, door))
    };
    settings.listen.iter().map(bind).collect()
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
