//! API keys: who has none gets 401, whatever the path below `/v1`.
//!
//! Next: [`crate::links`].

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use chassis::{
    config::Secret,
    problem::{Code, Problem},
};
use sha2::{Digest, Sha256};

pub(crate) const HEADER: &str = "x-api-key";

/// The keys' hashes: how long a comparison of these takes says nothing about a key.
#[derive(Clone)]
pub(crate) struct Keys(Arc<[[u8; 32]]>);

impl Keys {
    pub(crate) fn new(keys: &[Secret]) -> Self {
        Self(keys.iter().map(|key| Sha256::digest(key.expose()).into()).collect())
    }
}

pub(crate) async fn require_key(
    State(Keys(known)): State<Keys>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let given = request.headers().get(HEADER).map(|key| Sha256::digest(key.as_bytes()).into());
    match given {
        Some(key) if known.contains(&key) => Ok(next.run(request).await),
        _ => Err(Problem::new(Code::Unauthorized).with_challenge("ApiKey")),
    }
}
