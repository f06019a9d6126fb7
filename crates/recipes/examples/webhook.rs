//! Reliable outgoing webhooks: an outbox in Redis, signatures, retries with back-off, and a dead-letter queue.
//!
//! `POST /v1/orders` responds once the event is in the outbox. Every replica has a worker: it claims what is due for a
//! lease, delivers it, and removes it. A failure is retried with growing delays; after the last try the event goes to
//! `outbox:dead`. If a replica dies during a delivery, its lease expires and another delivers again: receivers get each
//! event at least once, and detect duplicates by `webhook-id`. Signatures are those of Standard Webhooks.
//!
//! `APP__APP__TARGET_URL=http://127.0.0.1:9000/ cargo run -p recipes --example webhook`

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::{extract::State, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chassis::{
    Chassis,
    config::{self, Check, Secret, SettingError, SettingErrors},
    problem::{Json, Problem},
    request,
    router::Router,
    upstream::{self, Upstream, UpstreamError, Upstreams},
};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use prometheus::{IntCounterVec, Opts};
use recipes::store;
use redis::{RedisError, Script, aio::ConnectionManager};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use tracing::{info, warn};

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Where Redis is.
    redis_url: String,
    /// The receiver's URL.
    target_url: String,
    /// The key of the signatures, which the receiver has too.
    signing_key: Secret,
    /// How long a delivery may take; a claim lasts twice as long.
    timeout: config::Duration,
    /// The pause before the second try; it doubles for each further one.
    first_pause: config::Duration,
    /// Maximum number of attempts.
    tries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            redis_url: "redis://127.0.0.1/".into(),
            target_url: "http://127.0.0.1:9000".into(),
            signing_key: Secret::default(),
            timeout: config::Duration::from_secs(5),
            // 5 s and 12 attempts: the last one about six hours later.
            first_pause: config::Duration::from_secs(5),
            tries: 12,
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        store::check(&self.redis_url, errors);
        if let Err(error) = Upstream::check_url(&self.target_url) {
            errors.push(SettingError::new("target_url", error.to_string()));
        }
        errors.require(self.signing_key.expose().len() >= 24, "signing_key", "must be at least 24 bytes");
        errors.require(self.tries > 0, "tries", "must be above zero");
        errors.require(!self.timeout.get().is_zero(), "timeout", "must be above zero");
    }
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Store(#[from] store::StartError),
    #[error("app.target_url: {0}")]
    Upstream(#[from] UpstreamError),
    #[error("registering a metric: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, StartError> {
    let outbox = Arc::new(Outbox::new(settings, chassis)?);
    let deliverer = Arc::clone(&outbox);
    chassis.spawn("webhook", move |drain| deliverer.deliver_until_drained(drain));
    Ok(Router::new().route("/v1/orders", post(order)).with_state(outbox))
}

/// 202: the event is stored and will be delivered.
async fn order(State(outbox): State<Arc<Outbox>>, Json(order): Json<Value>) -> Result<StatusCode, Problem> {
    outbox.add(&order).await.map_err(|error| store::unavailable(&error))?;
    Ok(StatusCode::ACCEPTED)
}

/// `outbox` is a sorted set of ids by the instant at which each is due, in microseconds; `outbox:event:ID` has payload
/// and number of tries.
struct Outbox {
    redis: ConnectionManager,
    target: Upstream,
    settings: Settings,
    deliveries: IntCounterVec,
}

struct Event {
    id: String,
    payload: String,
    tries: u32,
}

impl Event {
    fn key(&self) -> String {
        format!("outbox:event:{}", self.id)
    }
}

const ADD: &str = r"
local time = redis.call('TIME')
redis.call('HSET', 'outbox:event:' .. ARGV[1], 'payload', ARGV[2], 'tries', 0)
redis.call('ZADD', 'outbox', time[1] * 1000000 + time[2], ARGV[1])
";
/// The event that is most overdue, postponed by the lease; counts the attempt in advance, since the replica may die.
const CLAIM: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local id = redis.call('ZRANGEBYSCORE', 'outbox', '-inf', now, 'LIMIT', 0, 1)[1]
if not id then return {} end
redis.call('ZADD', 'outbox', now + ARGV[1], id)
local tries = redis.call('HINCRBY', 'outbox:event:' .. id, 'tries', 1)
return {id, redis.call('HGET', 'outbox:event:' .. id, 'payload'), tries}
";
const PUT_OFF: &str = r"
local time = redis.call('TIME')
redis.call('ZADD', 'outbox', 'XX', time[1] * 1000000 + time[2] + ARGV[2], ARGV[1])
";

impl Outbox {
    fn new(settings: &Settings, chassis: &Chassis) -> Result<Self, StartError> {
        let opts = Opts::new("webhook_deliveries_total", "Delivery attempts.");
        let deliveries = IntCounterVec::new(opts, &["outcome"])?;
        chassis.registry.register(Box::new(deliveries.clone()))?;
        let client = upstream::Settings { timeout: settings.timeout, retries: 0, ..upstream::Settings::default() };
        let upstreams = Upstreams::new(&chassis.registry, chassis.propagation.clone())?;
        Ok(Self {
            redis: store::connect(&settings.redis_url, chassis)?,
            target: upstreams.client("webhook", &settings.target_url, &client)?,
            settings: settings.clone(),
            deliveries,
        })
    }

    async fn add(&self, payload: &Value) -> Result<(), RedisError> {
        let id = request::new_id();
        let id = id.to_str().unwrap_or_default();
        Script::new(ADD).arg(id).arg(payload.to_string()).invoke_async(&mut self.redis.clone()).await
    }

    /// Runs until the drain begins; a delivery in progress is finished.
    async fn deliver_until_drained(self: Arc<Self>, drain: chassis::lifecycle::Drain) {
        /// Half a second: how late an event may be on an idle replica, and two queries a second of each.
        const IDLE: Duration = Duration::from_millis(500);
        while !drain.is_draining() {
            match self.claim().await {
                Ok(Some(event)) => {
                    if let Err(error) = self.deliver(&event).await {
                        warn!(%error, event = event.id, "redis failed after a delivery; the event will be sent again");
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => warn!(%error, "the outbox is unreachable"),
            }
            tokio::select! {
                () = tokio::time::sleep(IDLE) => {}
                () = drain.started() => {}
            }
        }
    }

    async fn claim(&self) -> Result<Option<Event>, RedisError> {
        let lease = self.settings.timeout.get() * 2;
        let claimed: Option<(String, String, u32)> =
            Script::new(CLAIM).arg(lease.as_micros().to_string()).invoke_async(&mut self.redis.clone()).await?;
        Ok(claimed.map(|(id, payload, tries)| Event { id, payload, tries }))
    }

    async fn deliver(&self, event: &Event) -> Result<(), RedisError> {
        let sent = self.target.send(self.request(event)).await;
        let outcome = match &sent {
            Ok(response) if response.status().is_success() => "delivered",
            _ if event.tries >= self.settings.tries => "dead",
            _ => "failed",
        };
        self.deliveries.with_label_values(&[outcome]).inc();
        let mut redis = self.redis.clone();
        match outcome {
            "delivered" => {
                info!(event = event.id, tries = event.tries, "delivered");
                redis::pipe().atomic().zrem("outbox", &event.id).del(event.key()).exec_async(&mut redis).await
            }
            "dead" => {
                warn!(event = event.id, ?sent, "the last attempt failed; moved the event to outbox:dead");
                redis::pipe()
                    .atomic()
                    .zrem("outbox", &event.id)
                    .rpush("outbox:dead", &event.id)
                    .exec_async(&mut redis)
                    .await
            }
            _ => {
                let pause = self.settings.first_pause.get() * (1 << (event.tries - 1).min(16));
                // Up to 50 % more, so that events that failed together are not retried together.
                let pause = pause + pause.mul_f64(0.5 * spread(&event.id));
                Script::new(PUT_OFF).arg(&event.id).arg(pause.as_micros().to_string()).invoke_async(&mut redis).await
            }
        }
    }

    /// <https://www.standardwebhooks.com>: the signature is of `id.timestamp.body`.
    fn request(&self, event: &Event) -> Request<Bytes> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.settings.signing_key.expose().as_bytes()).expect("any length");
        mac.update(format!("{}.{now}.{}", event.id, event.payload).as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        Request::post("/")
            .header("content-type", "application/json")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(Bytes::from(event.payload.clone()))
            .expect("hexadecimal digits and Base64 are header values")
    }
}

/// 0 to 1, from the first digits of a random id.
fn spread(id: &str) -> f64 {
    f64::from(u16::from_str_radix(id.get(..4).unwrap_or("0"), 16).unwrap_or(0)) / f64::from(u16::MAX)
}
