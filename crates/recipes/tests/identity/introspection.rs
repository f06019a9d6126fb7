//! Tokens that their issuer is asked about.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, Key, now},
    service::{bearer, expect, start},
};

#[tokio::test]
async fn what_the_issuer_says_of_a_token_decides_and_is_kept_for_a_while() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[]).await;
    let say = |said: Value| *issuer.said.introspected.lock().expect("what it says") = said;
    let ask = |token: &str| bearer(service.get("/v1/session"), token);
    let active = || json!({ "active": true, "sub": "ada", "scope": "orders:read", "exp": now() + 600 });

    say(active());
    for _ in 0..3 {
        let called: Value = ask("good").await.json();
        assert_eq!(called, json!({ "guard": "session", "subject": "ada" }));
    }
    assert_eq!(issuer.said.introspections.load(SeqCst), 1);

    let refused_with = |error: &str| format!("Bearer realm=\"session\", error=\"{error}\"");
    let invalid = refused_with("invalid_token");
    for (what, said) in [
        ("inactive", json!({ "active": false })),
        ("not said", json!({ "sub": "ada", "scope": "orders:read" })),
        ("a text", json!({ "active": "true", "sub": "ada", "scope": "orders:read" })),
        ("expired", json!({ "active": true, "sub": "ada", "scope": "orders:read", "exp": 1000 })),
    ] {
        say(said);
        expect(what, ask(&what.replace(' ', "")), (401, "unauthorized", &[&invalid])).await;
    }
    say(json!({ "active": true, "sub": "ada", "scope": "orders:write" }));
    let scope = format!("{}, scope=\"orders:read\"", refused_with("insufficient_scope"));
    expect("another scope", ask("other"), (403, "forbidden", &[&scope])).await;
    say(json!("nonsense"));
    expect("no object", ask("nonsense"), (503, "unavailable", &[])).await;
    assert_eq!(ask("good").await.status, 200, "its verdict is kept");
}

#[tokio::test]
async fn a_verdict_is_for_this_audience_alone() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[("APP__APP__SESSIONS__AUDIENCE", "orders")]).await;
    for (audience, status) in
        [(json!("orders"), 200), (json!(["bills", "orders"]), 200), (json!("bills"), 401), (Value::Null, 401)]
    {
        let said = json!({ "active": true, "sub": "ada", "scope": "orders:read", "aud": audience });
        *issuer.said.introspected.lock().expect("what it says") = said;
        let token = audience.to_string().bytes().map(|byte| byte.to_string()).collect::<String>();
        assert_eq!(bearer(service.get("/v1/session"), &token).await.status, status, "{audience}");
    }
}
