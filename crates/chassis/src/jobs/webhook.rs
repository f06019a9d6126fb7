//! Events: jobs that POST their payload to a URL of another service.
//!
//! The receiver gets each event at least once, and detects repetitions by `webhook-id` or `idempotency-key`. With a key
//! they are signed as Standard Webhooks asks for (<https://www.standardwebhooks.com>).
//!
//! Next: [`super::schema`].

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request, Response, StatusCode, header};
use sha2::Sha256;

use super::{Attempt, Job, JobError, Jobs, Kind};
use crate::{upstream::Upstream, values::Secret};

/// Where events go.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The receiver. It bounds a call; a POST is repeated by the job and not by it.
    pub upstream: Upstream,
    /// The path below its URL, with a slash before it.
    pub path: String,
    /// The key of the signatures, which the receiver has too: text, or `whsec_` and base64. Without one nothing is signed.
    pub secret: Option<Secret>,
}

impl Jobs {
    /// Registers `kind` as an event: what is added is the body of a POST. Every status but 2xx is a failed attempt, after
    /// which `Retry-After` in seconds is the pause; 410 says that nobody listens any more, and the job is dead.
    ///
    /// # Panics
    /// When the kind has a handler already.
    pub fn webhook(&self, kind: &'static str, webhook: Webhook) {
        let webhook = Arc::new(webhook);
        let handler = move |job: Job, payload: &str| -> Attempt {
            let (webhook, payload) = (Arc::clone(&webhook), payload.to_owned());
            Box::pin(async move { webhook.deliver(&job, payload).await })
        };
        self.0.register(kind, Kind { handler: Arc::new(handler), schedule: None });
    }
}

impl Webhook {
    async fn deliver(&self, job: &Job, payload: String) -> Result<(), JobError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        verdict(&self.upstream.send(self.request(job.key(), now, payload)?).await?)
    }

    fn request(&self, id: &str, now: u64, payload: String) -> Result<Request<Bytes>, JobError> {
        let id_value = HeaderValue::from_str(id).map_err(|_| JobError::permanent("its key is no header value"))?;
        let mut request = Request::post(&self.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", id_value.clone())
            .header("webhook-id", id_value)
            .header("webhook-timestamp", now);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", signature(secret, &format!("{id}.{now}.{payload}")));
        }
        request.body(Bytes::from(payload)).map_err(JobError::permanent)
    }
}

fn verdict(response: &Response<Bytes>) -> Result<(), JobError> {
    let status = response.status();
    let reason = format!("the receiver answered {status}");
    let pause = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match (status, pause) {
        _ if status.is_success() => Ok(()),
        (StatusCode::GONE, _) => Err(JobError::permanent(reason)),
        (_, Some(seconds)) => Err(JobError::retry_after(Duration::from_secs(u64::min(seconds, LONGEST_WISH)), reason)),
        _ => Err(JobError::retry(reason)),
    }
}

/// An hour: a receiver's longer wish is a mistake more often than not.
const LONGEST_WISH: u64 = 3600;

fn signature(secret: &Secret, signed: &str) -> String {
    let text = secret.expose();
    let key = text.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
    let key = key.unwrap_or_else(|| text.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(signed.as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, and of its libraries.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let secret = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(signature(&secret, signed), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_2xx_is_done_and_410_is_the_end() {
        let answer = |status: u16, after: &str| {
            let response = Response::builder().status(status).header(header::RETRY_AFTER, after);
            verdict(&response.body(Bytes::new()).expect("a response"))
        };
        assert!(answer(204, "").is_ok());
        let next = |status, after| format!("{:?}", answer(status, after).expect_err("no 2xx").next);
        assert_eq!(next(500, ""), "Retry");
        assert_eq!(next(302, ""), "Retry");
        assert_eq!(next(429, "7"), "After(7s)");
        assert_eq!(next(503, "99999999"), "After(3600s)");
        assert_eq!(next(410, "7"), "Dead");
    }
}
