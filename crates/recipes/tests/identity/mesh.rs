//! Client certificates that a proxy forwards.

use chassis::testing::Service;
use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, Key},
    service::{Expected, WORKLOAD, expect, start},
};

const XFCC: &str = "x-forwarded-client-cert";

/// Loopback is a mesh's sidecar here.
const SIDECAR: (&str, &str) = ("APP__SERVER__TRUSTED_PEERS", "127.0.0.0/8");

#[tokio::test]
async fn a_workload_is_known_by_what_a_trusted_proxy_forwards() {
    let issuer = Issuer::start(&[&Key::new("one")]).await;
    let service = start(&issuer, &[SIDECAR]).await;
    let ask = |service: &Service, value: &str| service.get("/internal/stock").header(XFCC, value);
    let forwarded = format!("By=spiffe://cluster.local/ns/shop/sa/orders;Hash=0a;Subject=\"\";URI={WORKLOAD}");
    let called: Value = ask(&service, &forwarded).await.json();
    assert_eq!(called, json!({ "guard": "mesh", "subject": WORKLOAD }));

    let none: Expected<'_> = (403, "forbidden", &[]);
    let malformed: Expected<'_> = (400, "malformed_request", &[]);
    for (what, value, expected) in [
        ("another workload", "Hash=0a;URI=spiffe://cluster.local/ns/shop/sa/mail", none),
        ("the beginning of one", "Hash=0a;URI=spiffe://cluster.local/ns/shop/sa/we", none),
        ("one that begins alike", "Hash=0a;URI=spiffe://cluster.local/ns/shop/sa/web2", none),
        ("its own name", &format!("By={WORKLOAD};Hash=0a;URI=spiffe://a/b"), none),
        ("it in a subject", &format!("Hash=0a;Subject=\"URI={WORKLOAD}\";URI="), none),
        ("it in an earlier element", &format!("Hash=0a;URI={WORKLOAD},Hash=0b;URI=spiffe://a/b"), none),
        ("no name", "Hash=0a;Subject=\"\";URI=", none),
        ("no pairs", WORKLOAD, malformed),
        ("an open quote", &format!("Hash=0a;Subject=\"CN=web;URI={WORKLOAD}"), malformed),
        ("two subjects", &format!("Subject=\"\";Subject=\"\";URI={WORKLOAD}"), malformed),
        ("nothing", "", malformed),
    ] {
        expect(what, ask(&service, value), expected).await;
    }
    expect("no certificate", service.get("/internal/stock"), none).await;

    for (what, peers) in [("a peer that is not trusted", "10.0.0.0/8"), ("the default list", "")] {
        let more: &[(&str, &str)] = if peers.is_empty() { &[] } else { &[("APP__SERVER__TRUSTED_PEERS", peers)] };
        let service = start(&issuer, more).await;
        expect(what, ask(&service, &forwarded), none).await;
        expect(what, ask(&service, "malformed"), none).await;
    }
}
