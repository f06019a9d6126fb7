//! `GET /whoami`: which replica responded; to watch a balancer. Next: [`super::work`].

use std::{sync::Arc, time::Instant};

use axum::extract::State;
use http::header;
use schemars::JsonSchema;
use serde::Serialize;

use chassis::{
    Chassis,
    lifecycle::Drain,
    middleware::Served,
    openapi::{Methods, Output, get},
    problem::Json,
    telemetry::Identity,
};

/// A replica, as it describes itself.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Replica {
    /// Its name: the pod's, or the host's.
    pub replica: String,
    /// The zone that it runs in, if the platform provides it.
    pub zone: Option<String>,
    /// The service's version.
    pub version: String,
    /// Whole seconds since its start.
    pub uptime_seconds: u64,
    /// Completed requests since its start.
    pub requests: u64,
    /// Whether it is stopping.
    pub phase: Phase,
}

/// Whether a replica is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It takes requests.
    Ready,
    /// It is stopping, and still serves requests.
    Draining,
}

struct Observed {
    identity: Identity,
    served: Arc<Served>,
    drain: Drain,
    started: Instant,
}

/// The route.
pub fn tell(chassis: &Chassis) -> Methods {
    let observed = Observed {
        identity: chassis.identity.clone(),
        served: Arc::clone(&chassis.served),
        drain: chassis.drain.clone(),
        started: Instant::now(),
    };
    get(answer).about("Which replica answers").with_state(Arc::new(observed))
}

async fn answer(State(observed): State<Arc<Observed>>) -> impl Output {
    let Observed { identity, served, drain, started } = &*observed;
    let replica = Replica {
        replica: identity.replica.clone(),
        zone: identity.zone.clone(),
        version: identity.version.clone(),
        uptime_seconds: started.elapsed().as_secs(),
        requests: served.get(),
        phase: if drain.is_draining() { Phase::Draining } else { Phase::Ready },
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(replica))
}
