use crate::harness::{Recipe, Redis};

#[tokio::test]
async fn replicas_share_each_clients_limit_and_serve_unchecked_without_redis() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    // A window so long that nothing comes back while the test runs.
    let settings = [("APP__APP__REDIS_URL", url.as_str()), ("APP__APP__REQUESTS", "10"), ("APP__APP__WINDOW", "3600s")];
    let replicas = [Recipe::start("rate_limit", &settings).await, Recipe::start("rate_limit", &settings).await];
    let ask = async |n: usize, key: &str| {
        let answer = replicas[n % 2].get("/v1/hello").header("x-api-key", key).send().await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), header("ratelimit"), header("ratelimit-policy"), header("retry-after"))
    };

    let mut answers = Vec::new();
    for n in 0..15 {
        answers.push(ask(n, "one").await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [[200; 10].as_slice(), &[429; 5]].concat());
    assert!(answers[0].1.as_deref().is_some_and(|state| state.starts_with("\"client\";r=9;t=")), "{:?}", answers[0]);
    assert!(answers[9].1.as_deref().is_some_and(|state| state.starts_with("\"client\";r=0;t=")), "{:?}", answers[9]);
    assert_eq!(answers[0].2.as_deref(), Some("\"client\";q=10;w=3600"));
    let wait: u64 = answers[10].3.as_deref().expect("Retry-After").parse().expect("seconds");
    assert!((300..=361).contains(&wait), "one of ten in an hour comes back in six minutes: {wait}");
    assert_eq!(ask(0, "two").await.0, 200, "another client has its own limit");

    redis.lose().await;
    assert_eq!(ask(0, "one").await.0, 200);
    replicas[0].metric_becomes("rate_limit_unchecked_total 1").await;
}
