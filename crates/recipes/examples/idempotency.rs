//! `Idempotency-Key`: a payment that is sent twice is executed once (draft-ietf-httpapi-idempotency-key-header).
//!
//! The first request with a key claims it in Redis, runs the handler, and stores the response. A repeat with the same
//! key gets that response from any replica; while the first still runs, 409; with another body, 422; without a
//! key, 400. A failed response (5xx) is not stored, so that the client can retry. A replica that dies in between
//! leaves the claim until its lease ends: the payment is then tried again at the client's next attempt, so what the
//! handler does must itself be keyed, as payment providers do.
//!
//! `APP__APP__REDIS_URL=redis://127.0.0.1/ cargo run -p recipes --example idempotency`

use std::process::ExitCode;

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    problem::{Json, Problem},
    request,
    router::Router,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use recipes::store;
use redis::{AsyncCommands, ExistenceCheck, SetExpiry, SetOptions, aio::ConnectionManager};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Shows the client that this is a stored response.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// A minute: above any request's deadline, so that a claim never ends before its request.
const LEASE_S: u64 = 60;
/// A day: the time in which clients may retry.
const KEEP_S: u64 = 24 * 3600;

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Where Redis is.
    redis_url: String,
    /// How long a payment takes, in milliseconds.
    payment_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { redis_url: "redis://127.0.0.1/".into(), payment_ms: 0 }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        store::check(&self.redis_url, errors);
    }
}

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, store::StartError> {
    let redis = store::connect(&settings.redis_url, chassis)?;
    let took = std::time::Duration::from_millis(settings.payment_ms);
    let pay = post(move |Json(payment): Json<Payment>| async move {
        tokio::time::sleep(took).await;
        if payment.amount_minor == 0 {
            return Problem::internal().into_response();
        }
        (StatusCode::CREATED, Json(Receipt { receipt: request::new_id().to_str().unwrap_or_default().to_owned() }))
            .into_response()
    });
    Ok(Router::new().route("/v1/payments", pay.layer(from_fn_with_state(redis, once))))
}

/// A payment; amount 0 fails, to show that failures are not stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    amount_minor: u64,
}

/// Every payment that was made has its own.
#[derive(Serialize)]
struct Receipt {
    receipt: String,
}

/// The record of a request in Redis; without a response while it runs.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of method, path and body.
    fingerprint: String,
    answer: Option<Answer>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    body: String,
}

/// Runs what is inside once for each key.
async fn once(State(mut redis): State<ConnectionManager>, request: Request, next: Next) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let key = format!("idempotency:{}", key_of(&request)?);
    let (head, body) = request.into_parts();
    // The chassis bounds its length and its time.
    let body = body
        .collect()
        .await
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "malformed_request", "The body was cut off."))?;
    let body = body.to_bytes();
    let fingerprint = fingerprint(head.method.as_str(), head.uri.path(), &body);

    let claim = Kept { fingerprint: fingerprint.clone(), answer: None };
    if let Some(kept) = put(&mut redis, &key, &claim, LEASE_S, ExistenceCheck::NX).await? {
        return replay(kept, &fingerprint);
    }
    // From here on the claim is ours: it is replaced by the response, or released.
    let answer = keep(next.run(Request::from_parts(head, Body::from(body))).await).await?;
    let stored = Kept { fingerprint, answer: Some(answer.0) };
    if answer.1.status().is_server_error() {
        redis.del::<_, ()>(&key).await.map_err(|error| store::unavailable(&error))?;
    } else {
        put(&mut redis, &key, &stored, KEEP_S, ExistenceCheck::XX).await?;
    }
    Ok(answer.1)
}

/// 1 to 128 visible characters.
fn key_of(request: &Request) -> Result<&str, Problem> {
    let key = request.headers().get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if (1..=128).contains(&key.len()) {
        return Ok(key);
    }
    Err(refuse(
        StatusCode::BAD_REQUEST,
        "idempotency_key_missing",
        "The header Idempotency-Key is required: 1 to 128 visible characters.",
    ))
}

fn refuse(status: StatusCode, code: &'static str, detail: &'static str) -> Problem {
    Problem::custom(status, code).with_detail(detail)
}

fn fingerprint(method: &str, path: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), path.as_bytes(), body] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    BASE64_STANDARD.encode(hash.finalize())
}

/// Sets the key if absent; otherwise returns its value.
async fn put(
    redis: &mut ConnectionManager,
    key: &str,
    kept: &Kept,
    seconds: u64,
    condition: ExistenceCheck,
) -> Result<Option<Kept>, Problem> {
    let text = serde_json::to_string(kept).expect("strings and numbers");
    let unset = matches!(condition, ExistenceCheck::NX);
    let options = SetOptions::default().conditional_set(condition).with_expiration(SetExpiry::EX(seconds)).get(true);
    let before: Option<String> =
        redis.set_options(key, text, options).await.map_err(|error| store::unavailable(&error))?;
    Ok(before.filter(|_| unset).and_then(|text| serde_json::from_str(&text).ok()))
}

fn replay(kept: Kept, fingerprint: &str) -> Result<Response, Problem> {
    if kept.fingerprint != fingerprint {
        return Err(refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "This key was used for a different request.",
        ));
    }
    let Some(answer) = kept.answer else {
        return Err(refuse(
            StatusCode::CONFLICT,
            "idempotency_key_in_use",
            "A request with this key is still in progress.",
        )
        .with_retry_after(std::time::Duration::from_secs(1)));
    };
    let mut response = (StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK), answer.body).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(content_type) = answer.content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    Ok(response)
}

/// Converts a response to its stored form and back.
async fn keep(response: Response) -> Result<(Answer, Response), Problem> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = String::from_utf8(body.to_vec()).map_err(|_| Problem::internal())?;
    let answer = Answer { status: head.status.as_u16(), content_type, body: text };
    Ok((answer, Response::from_parts(head, Body::from(body))))
}
