//! Creates and starts the parts of a replica, in order.
//!
//! Next: [`super::bind`].

use std::sync::{Arc, atomic::AtomicBool};

use prometheus::Registry;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Addresses, Before, Chassis, StartError,
    app::{self, App},
    bind::{bind, bind_agent, cannot_bind},
    core::{Core, healthz},
    resize::Resize,
    runtimes::Runtimes,
};
use crate::{
    admin::{self, Admin, Heartbeat, Running, Scrape, agent::Agent, probes::Probes},
    balancer::Balancer,
    config::{self, AppSettings, Live},
    connection::Connections,
    faults::Faults,
    health::Checks,
    host::Host,
    lifecycle::Lifecycle,
    listener::{Bound, Tcp},
    middleware::Served,
    overload::Overload,
    router::Router,
    server::{self, AcceptErrors, InForce},
    tasks::Tasks,
    telemetry::{Identity, Telemetry},
    transports::{self, Certificates, Doors, Purpose, Shared},
};

/// A running replica.
pub(super) struct Replica<A> {
    pub(super) live: Arc<Live<A>>,
    pub(super) config_metrics: config::Metrics,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) lifecycle: Lifecycle,
    pub(super) tasks: Tasks,
    pub(super) faults: Faults,
    pub(super) host: Host,
    pub(super) certificates: Certificates,
    pub(super) admin: Running,
    /// Ends the agent's listener before the process does: another one has it.
    pub(super) agent_stop: CancellationToken,
    pub(super) door: Door,
}

/// A replica that could serve and does not accept yet.
pub(super) struct Prepared<A> {
    replica: Replica<A>,
    probes: Probes,
    agent: Option<Tcp>,
    servers: Servers,
}

impl<A: AppSettings> Prepared<A> {
    pub(super) async fn new(
        live: Arc<Live<A>>,
        identity: Identity,
        telemetry: &Arc<Telemetry>,
        before: Before,
        runtimes: &Runtimes,
        app: App,
    ) -> Result<Self, StartError> {
        let Before { host, certificates, listening } = before;
        let io = runtimes.io.handle();
        let registry = telemetry.registry();
        let config_metrics = config::Metrics::new(registry).map_err(metrics)?;
        config_metrics.record(&live);
        let loaded = live.loaded();
        for note in loaded.notes.iter().chain(&loaded.remarks) {
            tracing::warn!("{note}");
        }
        let verdicts = Verdicts::start(&live, registry, io)?;
        host.announce(registry, &verdicts.heartbeat).map_err(metrics)?;
        let mut admin = prepare_admin(&live, &identity, telemetry, &host, &verdicts)?;
        if !host.succeeds() {
            admin.accept();
        }
        let chassis = Chassis::new(telemetry, &verdicts, identity).map_err(metrics)?;
        let listeners = bind(&live, &host, io)?;
        let agent = live.get().agent.listen.as_ref().map(|listen| bind_agent(&live, &host, listen)).transpose()?;
        if let Some(listening) = listening {
            let app = listeners.iter().find_map(|(bound, _)| bound.tcp_address());
            // Whoever waited may have gone.
            let _ = listening.send(Addresses { app, admin: admin.address });
        }
        let routes = app::start(app, &chassis, io, live.get().lifecycle.start_timeout.get()).await?;
        verdicts.checks.start(io);
        let _inside = io.enter();
        let (door, servers) =
            Door::new(listeners, routes, &live, telemetry, &verdicts, (&chassis.served, &certificates), runtimes);
        let Verdicts { lifecycle, faults, probes, .. } = verdicts;
        let (telemetry, tasks) = (Arc::clone(telemetry), chassis.tasks);
        let agent_stop = CancellationToken::new();
        let replica = Replica {
            live,
            config_metrics,
            telemetry,
            lifecycle,
            tasks,
            faults,
            host,
            certificates,
            admin,
            agent_stop,
            door,
        };
        Ok(Self { replica, probes, agent, servers })
    }

    /// Resolves when this replica may accept: immediately, unless it takes over from another process.
    pub(super) async fn turn(&self) {
        self.replica.host.turn(|| self.probes.would_be_ready()).await;
    }

    /// Accepts.
    pub(super) async fn open(self, io: &Handle) -> Replica<A> {
        let Self { mut replica, probes, agent, servers } = self;
        replica.admin.accept();
        if let Some(listener) = agent {
            Agent::new(probes, replica.door.balancer.clone()).accept(listener, replica.agent_stop.clone());
        }
        replica.door.accept(servers, io);
        replica.lifecycle.ready();
        replica.tasks.start(io);
        replica.host.started().await;
        tracing::info!(config_hash = %replica.live.loaded().hash, "started");
        replica
    }
}

/// The inputs of the probes.
pub(super) struct Verdicts {
    pub(super) lifecycle: Lifecycle,
    pub(super) faults: Faults,
    pub(super) checks: Checks,
    pub(super) accepting: Vec<Arc<AtomicBool>>,
    heartbeat: Heartbeat,
    pub(super) probes: Probes,
}

impl Verdicts {
    pub(super) fn start<A: AppSettings>(live: &Live<A>, registry: &Registry, io: &Handle) -> Result<Self, StartError> {
        let settings = live.get();
        let lifecycle = Lifecycle::new(Some(registry));
        let faults = Faults::new(&settings.faults);
        let checks = Checks::new(registry).map_err(metrics)?;
        let accepting: Vec<_> = settings.server.listen.iter().map(|_| Arc::default()).collect();
        let heartbeat = Heartbeat::new();
        tokio::spawn(heartbeat.clone().run(io.clone()));
        let probes =
            Probes::new(lifecycle.clone(), heartbeat.clone(), accepting.clone(), faults.clone(), checks.clone());
        Ok(Self { lifecycle, faults, checks, accepting, heartbeat, probes })
    }
}

fn prepare_admin<A: AppSettings>(
    live: &Arc<Live<A>>,
    identity: &Identity,
    telemetry: &Telemetry,
    host: &Host,
    verdicts: &Verdicts,
) -> Result<Running, StartError> {
    let settings = live.get();
    let shown = Arc::clone(live);
    let routes = Admin {
        probes: verdicts.probes.clone(),
        registry: telemetry.registry().clone(),
        scrape: Scrape::default(),
        logs: telemetry.log_control().clone(),
        faults: verdicts.faults.clone(),
        version: json!(identity),
        config: Arc::new(move || show(&shown)),
    };
    let listen = &settings.admin.listen;
    // The app's default: probes come in small numbers.
    let backlog = server::Settings::default().backlog;
    let bound = host.bind(&admin::url(listen), backlog).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) =
        bound.map_err(|error| cannot_bind("admin", listen, &live.loaded().source("admin.listen"), &error))?;
    tracing::info!(target: "listener", listener = "admin", url = %format_args!("http://{address}"), "listening");
    Ok(Running::new(listener, address, routes.router(&settings.admin), &settings.admin))
}

/// The app's listeners, their accept loops and their connections.
pub(super) struct Door {
    pub(super) settings: InForce,
    pub(super) overload: Overload,
    pub(super) balancer: Balancer,
    pub(super) connections: Arc<Connections>,
    pub(super) resize: Arc<Resize>,
    pub(super) stop: CancellationToken,
    pub(super) loops: TaskTracker,
}

impl Door {
    /// The accept loops for `listeners`. Connections run on the current runtime.
    fn new<A: AppSettings>(
        listeners: Vec<(Bound, Purpose)>,
        routes: Router,
        live: &Live<A>,
        telemetry: &Telemetry,
        verdicts: &Verdicts,
        (served, certificates): (&Arc<Served>, &Certificates),
        runtimes: &Runtimes,
    ) -> (Self, Servers) {
        let Core { settings, overload, balancer, stack, limits, connections, resize } =
            Core::new(live, telemetry, verdicts, served, runtimes);
        let (all, registry) = (live.get(), telemetry.registry());
        routes.warn_beyond(all.lifecycle.drain_timeout.get());
        let doors = Doors::new(transports::Parts {
            routes,
            healthz: healthz(&verdicts.probes),
            stack,
            limits,
            settings: &all.tls,
            certificates: certificates.clone(),
            registry,
        });
        let door = Self {
            settings,
            overload,
            balancer,
            connections,
            resize,
            stop: CancellationToken::new(),
            loops: TaskTracker::new(),
        };
        let servers = Servers {
            doors,
            errors: AcceptErrors::new(Some(registry)),
            listeners: listeners.into_iter().zip(verdicts.accepting.iter().cloned()).collect(),
        };
        (door, servers)
    }

    fn accept(&self, servers: Servers, io: &Handle) {
        let Servers { doors, errors, listeners } = servers;
        for ((listener, purpose), accepting) in listeners {
            let shared = Shared { connections: Arc::clone(&self.connections), errors: errors.clone(), accepting };
            self.loops.spawn_on(doors.clone().accept(listener, purpose, shared, self.stop.clone()), io);
        }
        self.loops.close();
    }
}

/// The accept loops, started when this replica may accept.
struct Servers {
    doors: Doors,
    errors: AcceptErrors,
    /// Each with the flag for its running loop.
    listeners: Vec<((Bound, Purpose), Arc<AtomicBool>)>,
}

/// `GET /config`.
fn show<A: AppSettings>(live: &Live<A>) -> serde_json::Value {
    let loaded = live.loaded();
    json!({
        "generation": live.generation(),
        "hash": loaded.hash,
        "restart_pending": live.restart_pending(),
        "settings": config::redacted(&live.get()),
        "sources": loaded.set_by(),
    })
}

pub(super) fn metrics(error: prometheus::Error) -> StartError {
    StartError::new("registering metrics", error)
}
