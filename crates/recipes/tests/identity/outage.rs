//! An issuer that is away, or that is another.

use std::sync::atomic::Ordering::SeqCst;

use chassis::testing::Service;
use serde_json::json;

use crate::{
    app::{SERVICE, router},
    issuer::{Issuer, Key, now},
    service::{bearer, refused, settings, start},
};

const OFTEN: (&str, &str) = ("APP__APP__LOGIN__RENEW_PAUSE", "50ms");
const DUE: (&str, &str) = ("APP__APP__LOGIN__RENEW_EVERY", "50ms");

#[tokio::test]
async fn known_keys_go_on_while_the_issuer_is_away() {
    let (key, next) = (Key::new("one"), Key::new("two"));
    let mut issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[OFTEN, DUE]).await;
    let (known, unknown) = (key.sign(&issuer.claims(|_| {})), next.sign(&issuer.claims(|_| {})));
    let status = async |token: &str| bearer(service.get("/v1/me"), token).await.status;
    assert_eq!((status(&known).await, status(&unknown).await), (200, 401));

    issuer.lose().await;
    service.wait_for_metric("health_check_up", &[("check", "login")], |up| up < 1.0).await;
    for _ in 0..50 {
        assert_eq!(status(&known).await, 200);
    }
    assert_eq!(status(&unknown).await, 401, "a key that was never seen");
    assert_eq!(service.probe("/readyz").await.status, 200, "degraded, and ready");

    issuer.publish(&[&key, &next]);
    issuer.resume().await;
    service.wait_for_metric("health_check_up", &[("check", "login")], |up| up > 0.0).await;
    assert_eq!((status(&known).await, status(&unknown).await), (200, 200));
}

#[tokio::test]
async fn keys_are_not_used_for_ever() {
    let key = Key::new("one");
    let mut issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[OFTEN, DUE, ("APP__APP__LOGIN__KEEP_FOR", "300ms")]).await;
    let token = key.sign(&issuer.claims(|_| {}));
    issuer.lose().await;
    while bearer(service.get("/v1/me"), &token).await.status == 200 {}
    let answer = bearer(service.get("/v1/me"), &token).await;
    assert_eq!(refused(&answer), (503, "unavailable".into(), vec![]));
}

#[tokio::test]
async fn a_replica_that_starts_without_its_issuer_serves_the_rest_and_is_whole_when_the_issuer_returns() {
    let key = Key::new("one");
    let mut issuer = Issuer::away(&[&key]).await;
    let service = start(&issuer, &[OFTEN]).await;
    let token = key.sign(&issuer.claims(|_| {}));
    let answer = bearer(service.get("/v1/me"), &token).await;
    assert_eq!(refused(&answer), (503, "unavailable".into(), vec![]));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(service.get("/v1/me").await.status, 401, "without a token nobody is asked");
    assert_eq!(service.get("/openapi.json").await.status, 200);
    assert_eq!(service.probe("/readyz").await.status, 200);
    service.wait_for_log("health check login is down").await;

    issuer.resume().await;
    service.wait_for_metric("health_check_up", &[("check", "login")], |up| up > 0.0).await;
    assert_eq!(bearer(service.get("/v1/me"), &token).await.status, 200);
}

#[tokio::test]
async fn the_discovery_document_of_another_issuer_gives_no_keys() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    for name in [format!("{}/", issuer.url), "https://evil.example".into()] {
        *issuer.said.name.lock().expect("the name") = Some(name.clone());
        let service = start(&issuer, &[OFTEN]).await;
        let line = service.wait_for_log("health check login is down").await;
        assert!(line.contains("the discovery document is that of another issuer") && line.contains(&name), "{line}");
        assert_eq!(bearer(service.get("/v1/me"), &key.sign(&issuer.claims(|_| {}))).await.status, 503);
    }
}

#[tokio::test]
async fn a_key_set_without_a_usable_key_takes_none_away() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[OFTEN, DUE]).await;
    let token = key.sign(&issuer.claims(|_| {}));
    assert_eq!(bearer(service.get("/v1/me"), &token).await.status, 200);
    let public = key.public();
    let mut for_encryption = public.clone();
    for_encryption["use"] = json!("enc");
    let mut without_id = public;
    without_id.as_object_mut().expect("an object").remove("kid");
    let symmetric = json!({ "kty": "oct", "kid": "two", "alg": "HS256", "k": "c2VjcmV0" });
    *issuer.said.keys.lock().expect("the keys") = vec![for_encryption, without_id, symmetric, json!({ "kty": "new" })];
    service.wait_for_log("the issuer publishes no key that can be used").await;
    assert_eq!(bearer(service.get("/v1/me"), &token).await.status, 200);
}

#[tokio::test]
async fn a_verdict_outlives_the_issuer_and_a_new_token_waits_for_it() {
    let mut issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[]).await;
    let said = json!({ "active": true, "sub": "ada", "scope": "orders:read", "exp": now() + 600 });
    *issuer.said.introspected.lock().expect("what it says") = said;
    assert_eq!(bearer(service.get("/v1/session"), "known").await.status, 200);
    issuer.lose().await;
    assert_eq!(bearer(service.get("/v1/session"), "known").await.status, 200);
    assert_eq!(refused(&bearer(service.get("/v1/session"), "new").await), (503, "unavailable".into(), vec![]));
    issuer.resume().await;
    while bearer(service.get("/v1/session"), "new").await.status != 200 {}
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let issuer = Issuer::away(&[]).await;
    for (name, value, part) in [
        ("APP__APP__LOGIN__ISSUER", "login.example", "app.login.issuer"),
        ("APP__APP__LOGIN__AUDIENCES", "", "app.login.audiences"),
        ("APP__APP__LOGIN__KEEP_FOR", "1s", "app.login.keep_for"),
        ("APP__APP__SESSIONS__CLIENT_ID", "", "app.sessions.client_id"),
        ("APP__APP__STOCK__TOKEN_URL", "ftp://login.example", "app.stock.token_url"),
        ("APP__APP__API_KEYS", "a-key-without-a-name", "app.api_keys"),
        ("APP__APP__API_KEYS", "billing:too-short", "app.api_keys"),
    ] {
        let started = Service::start(SERVICE, router, settings(&issuer, &[(name, value)])).await;
        let error = started.expect_err(name).to_string();
        assert!(error.contains(part) && error.contains(name), "{name}: {error}");
        assert!(value.is_empty() || !error.contains(value), "it repeats the value: {error}");
    }
    assert_eq!(issuer.said.discoveries.load(SeqCst), 0);
}
