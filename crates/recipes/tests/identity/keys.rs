//! API keys, alone and beside tokens; and what the description says of both.

use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, Key},
    service::{KEYS, bearer, expect, start},
};

#[tokio::test]
async fn of_two_ways_one_is_enough_and_both_are_asked_for() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[]).await;
    let keyed = |key: &str| service.get("/v1/orders").header("x-api-key", key);
    for (key, subject) in [(KEYS[0], "billing"), (KEYS[1], "billing"), (KEYS[2], "reports")] {
        let called: Value = keyed(key).await.json();
        assert_eq!(called, json!({ "guard": "api_key", "subject": subject }));
    }
    let called: Value = bearer(service.get("/v1/orders"), &key.sign(&issuer.claims(|_| {}))).await.json();
    assert_eq!(called, json!({ "guard": "login", "subject": "ada" }));
    let used = service.metric("api_key_requests_total", &[("guard", "api_key"), ("key", "billing")]);
    assert_eq!(used, Some(2.0), "both keys of one name");

    let both = ["Bearer realm=\"login\"", "ApiKey realm=\"api_key\""];
    // Also for a key, what error it is says only RFC 6750.
    let wrong = both;
    for (what, request) in [
        ("a wrong key", keyed("the-key-of-somebody-else")),
        ("a key's beginning", keyed(&KEYS[0][..KEYS[0].len() - 1])),
        ("a key and more", keyed(&format!("{}x", KEYS[0]))),
        ("another case", keyed(&KEYS[0].to_uppercase())),
        ("its name", keyed("billing")),
        ("name and key", keyed(&format!("billing:{}", KEYS[0]))),
        ("a hash", keyed("sha256:8a3b0d5fdd8d5a6e7f2c1b4a9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a291807")),
        ("an empty key", keyed("")),
    ] {
        expect(what, request, (401, "unauthorized", &wrong)).await;
    }
    expect("no credentials", service.get("/v1/orders"), (401, "unauthorized", &both)).await;
    expect(
        "a key in the query",
        service.get(&format!("/v1/orders?x-api-key={}", KEYS[0])),
        (401, "unauthorized", &both),
    )
    .await;
    expect("two keys", keyed(KEYS[0]).header("x-api-key", KEYS[0]), (400, "malformed_request", &[])).await;
    let bad = bearer(service.get("/v1/orders"), "x.y.z");
    let challenges = ["Bearer realm=\"login\", error=\"invalid_token\"", both[1]];
    expect("a bad token", bad, (401, "unauthorized", &challenges)).await;
    assert_eq!(bearer(keyed(KEYS[0]), "x.y.z").await.status, 200, "the key is enough");
}

#[tokio::test]
async fn a_key_that_is_taken_out_is_refused() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[("APP__APP__API_KEYS", "billing:the-new-key-of-billing")]).await;
    assert_eq!(service.get("/v1/orders").header("x-api-key", KEYS[1]).await.status, 200);
    assert_eq!(service.get("/v1/orders").header("x-api-key", KEYS[0]).await.status, 401);
    let shown = service.probe("/config").await.body;
    assert!(shown.contains("billing:[redacted]") && !shown.contains("the-new-key"), "{shown}");
    assert!(!service.log().contains("the-new-key"));
}

#[tokio::test]
async fn the_description_says_what_each_operation_needs() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[]).await;
    let described: Value = service.get("/openapi.json").await.json();
    let schemes = &described["components"]["securitySchemes"];
    assert_eq!(schemes["login"], json!({ "type": "http", "scheme": "bearer" }));
    assert_eq!(schemes["mesh"], json!({ "type": "mutualTLS" }));
    for (path, security) in [
        ("/v1/me", json!([{ "login": [] }])),
        ("/v1/orders", json!([{ "login": ["orders:read"] }, { "api_key": [] }])),
        ("/v1/session", json!([{ "session": ["orders:read"] }])),
        ("/internal/stock", json!([{ "mesh": [] }])),
        ("/stock", Value::Null),
    ] {
        let operation = &described["paths"][path]["get"];
        assert_eq!(operation["security"], security, "{path}");
        for status in ["400", "401", "403"] {
            assert_eq!(operation["responses"][status].is_object(), !security.is_null(), "{path} {status}");
        }
    }
}
