//! The recipe in the test's process.

use chassis::testing::{Answer, Request, Service};
use serde_json::Value;

use crate::{
    app::{SERVICE, router},
    issuer::Issuer,
};

pub(crate) const SECRET: &str = "a secret/of+ours";

/// Two keys of one partner, the second as its hash, and one of another.
pub(crate) const KEYS: [&str; 3] = ["the-old-key-of-billing", "the-new-key-of-billing", "the-only-key-of-reports"];

pub(crate) const WORKLOAD: &str = "spiffe://cluster.local/ns/shop/sa/web";

/// The recipe with this issuer, and more settings.
pub(crate) async fn start(issuer: &Issuer, more: &[(&str, &str)]) -> Service {
    let started = Service::start(SERVICE, router, settings(issuer, more)).await;
    started.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn settings(issuer: &Issuer, more: &[(&str, &str)]) -> Vec<(String, String)> {
    // printf the-new-key-of-billing | sha256sum
    let hashed = "2f1ce6931cd915db6291d63ea870591d8126c1761aa779a730c2266b76180b12";
    let keys = format!("billing:{},billing:sha256:{hashed},reports:{}", KEYS[0], KEYS[2]);
    let url = |path: &str| format!("{}{path}", issuer.url);
    let all = [
        ("LOGIN__ISSUER", url("")),
        ("LOGIN__AUDIENCES", "orders".into()),
        ("SESSIONS__CLIENT_ID", "orders".into()),
        ("STOCK__CLIENT_ID", "orders".into()),
        ("SESSIONS__URL", url("/introspect")),
        ("SESSIONS__CLIENT_SECRET", SECRET.into()),
        ("API_KEYS", keys),
        ("WORKLOADS", WORKLOAD.into()),
        ("STOCK_URL", url("")),
        ("STOCK__TOKEN_URL", url("/token")),
        ("STOCK__CLIENT_SECRET", SECRET.into()),
    ];
    let all = all.into_iter().map(|(name, value)| (format!("APP__APP__{name}"), value));
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut settings: Vec<(String, String)> = Vec::new();
    for (name, value) in all.chain(more) {
        settings.retain(|(known, _)| *known != name);
        settings.push((name, value));
    }
    settings
}

pub(crate) fn bearer(request: Request, token: &str) -> Request {
    request.header("authorization", &format!("Bearer {token}"))
}

/// Status, code, and challenges.
pub(crate) fn refused(answer: &Answer) -> (u16, String, Vec<String>) {
    let challenges = answer.headers.get_all("www-authenticate").iter();
    let challenges = challenges.map(|value| value.to_str().expect("a text").to_owned()).collect();
    let code = if answer.status == 200 { Value::Null } else { answer.json::<Value>()["code"].clone() };
    (answer.status, code.as_str().unwrap_or_default().to_owned(), challenges)
}

/// A refusal: status, code, and what each challenge says beside its scheme and realm.
pub(crate) type Expected<'a> = (u16, &'a str, &'a [&'a str]);

pub(crate) async fn expect(what: &str, request: Request, (status, code, challenges): Expected<'_>) {
    let answer = request.await;
    let seen = refused(&answer);
    let challenges = challenges.iter().map(|challenge| (*challenge).to_owned()).collect();
    assert_eq!(seen, (status, code.to_owned(), challenges), "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
}
