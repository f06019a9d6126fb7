//! Calls to another service with a token of this one.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, Key},
    service::start,
};

#[tokio::test]
async fn many_calls_share_one_token() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let more = [("APP__APP__STOCK__SCOPES", "stock:read,stock:write"), ("APP__APP__STOCK__AUDIENCE", "stock")];
    let service = start(&issuer, &more).await;
    let calls: Vec<_> = (0..16).map(|_| service.get("/stock").send()).collect();
    for call in calls {
        assert_eq!(call.await.json::<Value>(), json!({ "token": 1 }));
    }
    let forms = issuer.said.forms.lock().expect("the forms").clone();
    assert_eq!(forms, ["grant_type=client_credentials&scope=stock%3Aread+stock%3Awrite&audience=stock"]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_no_call_fails() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    // Renewed after 1.6 s of 2.
    issuer.said.lifetime.store(2, SeqCst);
    let service = start(&issuer, &[]).await;
    while issuer.said.tokens.load(SeqCst) < 3 {
        assert_eq!(service.get("/stock").await.status, 200);
    }
}

#[tokio::test]
async fn a_token_that_the_service_refuses_is_fetched_anew_and_the_call_is_sent_once_more() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[]).await;
    assert_eq!(service.get("/stock").await.status, 200);
    issuer.said.valid_from.store(2, SeqCst);
    // Within a second of the first, a second token is not asked for: the service's answer is passed on.
    while service.get("/stock").await.status != 200 {}
    assert_eq!(issuer.said.tokens.load(SeqCst), 2);

    // A service that takes no token is asked twice for a call, and the issuer once a second.
    issuer.said.valid_from.store(usize::MAX, SeqCst);
    for _ in 0..20 {
        assert_eq!(service.get("/stock").await.status, 502);
    }
    let tokens = issuer.said.tokens.load(SeqCst);
    println!("{tokens} tokens for 20 calls");
    assert!(tokens < 12, "{tokens}");
}

#[tokio::test]
async fn a_wrong_secret_is_not_tried_by_each_call() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[("APP__APP__STOCK__CLIENT_SECRET", "wrong")]).await;
    for _ in 0..20 {
        assert_eq!(service.get("/stock").await.status, 503);
    }
    let line = service.wait_for_log("cannot fetch a token").await;
    assert!(line.contains("401") && !line.contains("wrong"), "{line}");
    let calls = service.metric("upstream_request_duration_seconds_count", &[("upstream", "stock_token")]);
    println!("{calls:?} calls to the issuer for 20 of the service");
    assert!(calls.is_some_and(|calls| calls < 10.0), "{calls:?}");
}
