use serde_json::{Value, json};

use crate::harness::{Recipe, Redis, eventually};

#[tokio::test]
async fn replicas_share_notes_and_a_lost_redis_degrades_but_keeps_them_ready() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    let settings = [("APP__APP__REDIS_URL", url.as_str())];
    let (first, second) = (Recipe::start("notes", &settings).await, Recipe::start("notes", &settings).await);

    let write = async |recipe: &Recipe, text: &str| {
        recipe.put("/v1/notes/a").json(&json!({"text": text})).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(write(&first, "one").await, 201);
    assert_eq!(write(&second, "two").await, 204);
    let note: Value = first.get("/v1/notes/a").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(note, json!({"text": "two"}));
    assert_eq!(first.get("/v1/notes/b").send().await.expect("an answer").status(), 404);

    redis.lose().await;
    let answer = first.get("/v1/notes/a").send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    first.metric_becomes("health_check_up{check=\"redis\"} 0").await;
    first.metric_becomes("health_degraded 1").await;
    assert_eq!(first.probe("/readyz").await.0, 200);

    redis.resume().await;
    eventually("notes work again", async || (write(&first, "three").await == 201).then_some(())).await;
    first.metric_becomes("health_degraded 0").await;
}
