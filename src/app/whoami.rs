//! `GET /whoami`: which replica answered; for seeing a balancer at work.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::State,
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use http::header;
use schemars::JsonSchema;
use serde::Serialize;

use crate::chassis::{Chassis, Identity, RequestsServed, problem::Json};

/// A replica, as it describes itself.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Replica {
    /// Its name: the pod's, or the host's.
    pub replica: String,
    /// The zone that it runs in, where the platform tells.
    pub zone: Option<String>,
    /// The service's version.
    pub version: &'static str,
    /// Whole seconds since its start.
    pub uptime_seconds: u64,
    /// Requests answered since its start.
    pub requests: u64,
}

struct Observed {
    identity: Identity,
    requests_served: RequestsServed,
}

/// The route.
pub fn tell(chassis: &Chassis) -> MethodRouter {
    let observed = Observed { identity: chassis.identity.clone(), requests_served: chassis.requests_served.clone() };
    get(answer).with_state(Arc::new(observed))
}

async fn answer(State(observed): State<Arc<Observed>>) -> impl IntoResponse {
    let Observed { identity, requests_served } = &*observed;
    let replica = Replica {
        replica: identity.replica.clone(),
        zone: identity.zone.clone(),
        version: identity.version,
        uptime_seconds: Instant::now().saturating_duration_since(identity.started).as_secs(),
        requests: requests_served.get(),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(replica))
}
