//! A rate limit for each client, shared by all replicas: so many requests in a window, counted in Redis.
//!
//! The algorithm is GCRA (a leaky bucket that stores one instant for each client), run inside Redis by a script, on
//! Redis' own clock: replicas need not agree on the time. A client is its `x-api-key`, else its address. A refused
//! request gets 429 with `Retry-After`; responses show what is left (draft-ietf-httpapi-ratelimit-headers). Without
//! Redis, requests are served unchecked, and counted: losing a protection must not cause an outage.
//!
//! `APP__APP__REDIS_URL=redis://127.0.0.1/ cargo run -p recipes --example rate_limit`

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use chassis::{
    Chassis,
    config::{self, Check, SettingErrors},
    connection::ConnectionInfo,
    problem::Problem,
    router::Router,
};
use http::{HeaderName, HeaderValue, StatusCode};
use prometheus::IntCounter;
use recipes::store;
use redis::{RedisError, Script, aio::ConnectionManager};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Where Redis is.
    redis_url: String,
    /// Requests of one client in a window; as many at once.
    requests: u32,
    /// The window.
    window: config::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { redis_url: "redis://127.0.0.1/".into(), requests: 100, window: config::Duration::from_secs(60) }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        store::check(&self.redis_url, errors);
        errors.require(self.requests > 0, "requests", "must be above zero");
        errors.require(self.window.get() >= Duration::from_secs(1), "window", "must be at least 1s");
    }
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, store::StartError> {
    let limit = Limit::new(settings, chassis)?;
    Ok(Router::new().route("/v1/hello", get(async || "hello\n").layer(from_fn_with_state(Arc::new(limit), check))))
}

struct Limit {
    redis: ConnectionManager,
    script: Script,
    requests: u32,
    window: Duration,
    policy: HeaderValue,
    unchecked: IntCounter,
}

/// All in microseconds. `tat` is the instant at which the bucket is empty again.
const GCRA: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + step
local wait = tat - window - now
if wait > 0 then return {0, wait} end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
return {math.floor((window - (tat - now)) / step) + 1, tat - now}
";

impl Limit {
    fn new(settings: &Settings, chassis: &Chassis) -> Result<Self, store::StartError> {
        let unchecked = IntCounter::new(
            "rate_limit_unchecked_total",
            "Requests served without a limit because Redis did not respond.",
        )?;
        chassis.registry.register(Box::new(unchecked.clone()))?;
        let policy = format!("\"client\";q={};w={}", settings.requests, settings.window.get().as_secs());
        Ok(Self {
            redis: store::connect(&settings.redis_url, chassis)?,
            script: Script::new(GCRA),
            requests: settings.requests,
            window: settings.window.get(),
            policy: HeaderValue::from_str(&policy).expect("digits"),
            unchecked,
        })
    }

    /// What is left (this request counted, so 0 refuses), and the time until all is back, or until the next is allowed.
    async fn take(&self, client: &str) -> Result<(u64, Duration), RedisError> {
        let mut redis = self.redis.clone();
        let step = self.window / self.requests;
        let mut call = self.script.key(format!("rate:{client}"));
        call.arg(step.as_micros().to_string()).arg((step * self.requests).as_micros().to_string());
        let (left, wait): (u64, u64) = call.invoke_async(&mut redis).await?;
        Ok((left, Duration::from_micros(wait)))
    }

    fn tell(&self, mut response: Response, left: u64, wait: Duration) -> Response {
        let state = format!("\"client\";r={left};t={}", wait.as_secs() + 1);
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("ratelimit-policy"), self.policy.clone());
        headers.insert(HeaderName::from_static("ratelimit"), HeaderValue::from_str(&state).expect("digits"));
        response
    }
}

async fn check(State(limit): State<Arc<Limit>>, request: Request, next: Next) -> Response {
    match limit.take(&client(&request)).await {
        Ok((0, wait)) => {
            let refusal = Problem::custom(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
                .with_detail("This client sent too many requests.")
                .with_retry_after(wait);
            limit.tell(refusal.into_response(), 0, wait)
        }
        Ok((left, wait)) => limit.tell(next.run(request).await, left - 1, wait),
        Err(error) => {
            warn!(%error, "served a request without a rate limit check");
            limit.unchecked.inc();
            next.run(request).await
        }
    }
}

/// The API key if sent, else the address. A key must be verified first, or clients could invent new ones.
fn client(request: &Request) -> String {
    let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok());
    let address = || request.extensions().get::<ConnectionInfo>().map(|info| info.peer().ip().to_string());
    key.map(|key| format!("key:{key}")).or_else(address).unwrap_or_else(|| "unknown".into())
}
