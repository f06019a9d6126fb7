use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Recipe, Redis};

/// Status, whether it was given before, and body.
async fn pay(recipe: &Recipe, key: Option<&str>, amount: u64) -> (u16, bool, Value) {
    let request = recipe.post("/v1/payments").json(&json!({"amount_minor": amount}));
    let request = if let Some(key) = key { request.header("idempotency-key", key) } else { request };
    let answer = request.send().await.expect("an answer");
    let replayed = answer.headers().contains_key("idempotency-replayed");
    (answer.status().as_u16(), replayed, answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_payment_that_is_sent_to_two_replicas_at_once_is_made_once() {
    let redis = Redis::start().await;
    let url = redis.url();
    let settings = [("APP__APP__REDIS_URL", url.as_str()), ("APP__APP__PAYMENT_MS", "1000")];
    let (first, second) =
        (Recipe::start("idempotency", &settings).await, Recipe::start("idempotency", &settings).await);

    let sent = (0..20).map(|n| pay(if n % 2 == 0 { &first } else { &second }, Some("one"), 5));
    let mut counts = BTreeMap::new();
    for (status, replayed, _) in join_all(sent).await {
        *counts.entry((status, replayed)).or_insert(0) += 1;
    }
    assert_eq!(counts[&(201, false)], 1, "{counts:?}");
    // On a slow machine the last of them may come after the answer.
    assert!(counts.keys().all(|key| matches!(key, (201, _) | (409, false))), "{counts:?}");

    let (again, other) = (pay(&first, Some("one"), 5).await, pay(&second, Some("one"), 5).await);
    assert_eq!((again.0, again.1), (201, true));
    assert_eq!(again, other);
}

#[tokio::test]
async fn keys_are_needed_and_bound_to_their_request_and_failures_are_not_kept() {
    let redis = Redis::start().await;
    let url = redis.url();
    let recipe = Recipe::start("idempotency", &[("APP__APP__REDIS_URL", url.as_str())]).await;
    let code = |answer: (u16, bool, Value)| (answer.0, answer.2["code"].as_str().unwrap_or_default().to_owned());

    assert_eq!(code(pay(&recipe, None, 5).await), (400, "idempotency_key_missing".into()));
    assert_eq!(code(pay(&recipe, Some(&"x".repeat(129)), 5).await), (400, "idempotency_key_missing".into()));
    assert_eq!(pay(&recipe, Some("two"), 5).await.0, 201);
    assert_eq!(code(pay(&recipe, Some("two"), 6).await), (422, "idempotency_key_reused".into()));
    assert_eq!(pay(&recipe, Some("three"), 0).await.0, 500);
    let again = pay(&recipe, Some("three"), 0).await;
    assert_eq!((again.0, again.1), (500, false));
}
