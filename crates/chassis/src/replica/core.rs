//! The routes inside the middleware, shared by all listeners of a replica.
//!
//! Next: [`crate::middleware`].

use std::sync::Arc;

use axum::{Extension, extract::RawQuery, routing::get};
use prometheus::Registry;

use super::{
    resize::{Parts, Resize},
    runtimes::Runtimes,
    start::Verdicts,
};
use crate::{
    admin::probes::Probes,
    balancer::Balancer,
    config::{AppSettings, Live},
    connection::{self, Connections, Limits},
    middleware::{self, Served, Stack},
    overload::Overload,
    peer::ConnectionInfo,
    router::Router,
    runtime,
    server::{self, InForce},
    telemetry::Telemetry,
};

/// The routes inside the middleware, and the connection limits.
pub(super) struct Core {
    pub(super) settings: InForce,
    pub(super) overload: Overload,
    pub(super) balancer: Balancer,
    pub(super) stack: Arc<Stack>,
    pub(super) limits: Arc<Limits>,
    pub(super) connections: Arc<Connections>,
    pub(super) resize: Arc<Resize>,
}

impl Core {
    pub(super) fn new<A: AppSettings>(
        live: &Live<A>,
        telemetry: &Telemetry,
        verdicts: &Verdicts,
        served: &Arc<Served>,
        runtimes: &Runtimes,
    ) -> Self {
        let (all, registry) = (live.get(), telemetry.registry());
        let settings = InForce::new(&all.server);
        let Runtimes { work, resources, .. } = runtimes;
        let overload = Overload::new(&all.overload, work.threads(), registry);
        let balancer = Balancer::new(Arc::clone(&settings.balancer), registry);
        let counts = Arc::clone(served);
        // Ends with the runtime.
        let drain = verdicts.lifecycle.drain_token();
        tokio::spawn(balancer.clone().run(resources.clone(), overload.clone(), drain, move || counts.counts()));
        let parts = middleware::Parts {
            settings: Arc::clone(&settings.middleware),
            overload: overload.clone(),
            balancer: balancer.clone(),
            faults: verdicts.faults.clone(),
            tracing: telemetry.tracing().clone(),
            access: telemetry.access_log().clone(),
            work: work.clone(),
            served: Arc::clone(served),
        };
        let limits = Limits::new(Arc::clone(&settings.connection), verdicts.lifecycle.clone());
        let memory = resources.get().memory;
        limits.set_memory(memory);
        limits.held.register(registry);
        let stack = Stack::new(parts, registry);
        let connections = connections(&all.server, memory, registry);
        let parts = Parts {
            work: work.clone(),
            overload: overload.clone(),
            limits: Arc::clone(&limits),
            connections: Arc::clone(&connections),
        };
        let resize = Resize::new(&all, resources, parts);
        Self { settings, overload, balancer, stack, limits, connections, resize }
    }
}

fn connections(settings: &server::Settings, memory: Option<u64>, registry: &Registry) -> Arc<Connections> {
    let max = runtime::max_connections(settings.max_connections, memory);
    // Trusted peers forward for many clients.
    let shared = settings.trusted_peers.clone();
    let heads = connection::most_of_heads(settings.max_head.len());
    let rules = connection::Rules { shared, eager: false, heads };
    Connections::new(max, rules, connection::Metrics::new(Some(registry)))
}

/// `/healthz` on the traffic port, for balancers that can probe no other.
pub(super) fn healthz(probes: &Probes) -> Router {
    let probes = probes.clone();
    let answer = move |RawQuery(query): RawQuery, Extension(info): Extension<ConnectionInfo>| async move {
        if probes.is_handed_over() {
            // A probe on a keep-alive connection must reach the new process next time.
            info.close();
        }
        probes.answer_ready(query.as_deref())
    };
    // Some balancers ask by OPTIONS.
    Router::new().probe("/healthz", get(answer.clone()).options(answer))
}
