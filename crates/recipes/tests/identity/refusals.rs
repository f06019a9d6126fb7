//! What is refused, and how the client sees it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, Key, now},
    service::{Expected, bearer, expect, start},
};

const INVALID: Expected<'static> = (401, "unauthorized", &["Bearer realm=\"login\", error=\"invalid_token\""]);
const MALFORMED: Expected<'static> = (400, "malformed_request", &["Bearer realm=\"login\", error=\"invalid_request\""]);
const ASKED: Expected<'static> = (401, "unauthorized", &["Bearer realm=\"login\""]);

/// A token of another header than its signer's.
fn with_header(token: &str, header: &Value) -> String {
    let (_, rest) = token.split_once('.').expect("a token");
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[tokio::test]
async fn a_token_that_proves_nothing_is_refused() {
    let (key, other) = (Key::new("one"), Key::ecdsa("two"));
    let issuer = Issuer::start(&[&key, &other]).await;
    let service = start(&issuer, &[]).await;
    let me = |token: &str| bearer(service.get("/v1/me"), token);
    let changed = |change: fn(&mut Value)| key.sign(&issuer.claims(change));
    let without =
        |name: &'static str| key.sign(&issuer.claims(|claims| drop(claims.as_object_mut().unwrap().remove(name))));
    let good = changed(|_| {});
    for (what, token) in [
        ("good", good.clone()),
        ("of another key and algorithm", other.sign(&issuer.claims(|_| {}))),
        ("for several, us among them", changed(|claims| claims["aud"] = json!(["bills", "orders"]))),
        ("expired within the leeway", changed(|claims| claims["exp"] = json!(now() - 30))),
        ("issued by a clock that is ahead", changed(|claims| claims["iat"] = json!(now() + 30))),
        (
            "an access token of RFC 9068",
            key.sign_with(&Header { typ: Some("at+jwt".into()), ..key.header() }, &issuer.claims(|_| {})),
        ),
    ] {
        let answer = me(&token).await;
        assert_eq!((answer.status, &answer.json::<Value>()["sub"]), (200, &json!("ada")), "{what}: {answer:?}");
    }

    let public = serde_json::to_vec(&key.public()).expect("JSON");
    let raw = BASE64_URL_SAFE_NO_PAD.decode(key.public()["x"].as_str().expect("a key")).expect("base64");
    let symmetric = Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) };
    let confused = |secret: &[u8]| {
        jsonwebtoken::encode(&symmetric, &issuer.claims(|_| {}), &EncodingKey::from_secret(secret)).expect("a token")
    };
    let forged = Key::new("one");
    let mut tampered = good.clone();
    let at = tampered.find('.').expect("a token") + 5;
    tampered.replace_range(at..=at, if &tampered[at..=at] == "A" { "B" } else { "A" });
    let payload = good.split('.').nth(1).expect("claims");
    for (what, token) in [
        ("expired", changed(|claims| claims["exp"] = json!(now() - 120))),
        ("expired before 1970", changed(|claims| claims["exp"] = json!(-1))),
        ("not yet valid", changed(|claims| claims["nbf"] = json!(now() + 120))),
        ("issued in the future", changed(|claims| claims["iat"] = json!(now() + 120))),
        ("a time that is a text", changed(|claims| claims["exp"] = json!("tomorrow"))),
        ("another issuer", changed(|claims| claims["iss"] = json!("https://evil.example"))),
        (
            "the issuer with a slash",
            changed(|claims| claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap()))),
        ),
        ("two issuers", changed(|claims| claims["iss"] = json!([claims["iss"], "https://evil.example"]))),
        ("another audience", changed(|claims| claims["aud"] = json!("bills"))),
        ("no expiry", without("exp")),
        ("no issuer", without("iss")),
        ("no audience", without("aud")),
        ("no subject", without("sub")),
        ("another's signature", forged.sign(&issuer.claims(|_| {}))),
        ("an unknown key", Key::new("three").sign(&issuer.claims(|_| {}))),
        (
            "a key of another algorithm",
            other.sign_with(&Header { kid: Some("one".into()), ..other.header() }, &issuer.claims(|_| {})),
        ),
        ("an algorithm that the key is not for", with_header(&good, &json!({ "alg": "RS256", "kid": "one" }))),
        ("no algorithm", with_header(&good, &json!({ "alg": "none", "kid": "one" }))),
        ("unsigned", format!("{}.{payload}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"one"}"#))),
        ("the public key as a secret", confused(&public)),
        ("the public key's bytes as a secret", confused(&raw)),
        ("no key id", key.sign_with(&Header { kid: None, ..key.header() }, &issuer.claims(|_| {}))),
        (
            "its own key",
            key.sign_with(
                &Header { kid: Some("mine".into()), jwk: serde_json::from_value(key.public()).ok(), ..key.header() },
                &issuer.claims(|_| {}),
            ),
        ),
        (
            "a critical extension",
            key.sign_with(&Header { crit: Some(vec!["exp".into()]), ..key.header() }, &issuer.claims(|_| {})),
        ),
        (
            "a token for a logout",
            key.sign_with(&Header { typ: Some("logout+jwt".into()), ..key.header() }, &issuer.claims(|_| {})),
        ),
        ("changed claims", tampered),
        ("two parts", format!("{}.{payload}", good.split('.').next().unwrap())),
        ("four parts", format!("{good}.x")),
        ("no JWT", "x.y.z".into()),
        ("huge", key.sign(&issuer.claims(|claims| claims["more"] = json!("x".repeat(7000))))),
    ] {
        expect(what, me(&token), INVALID).await;
    }
}

#[tokio::test]
async fn what_is_not_one_bearer_token_is_asked_for_or_malformed() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[]).await;
    let good = key.sign(&issuer.claims(|_| {}));
    let headers = |values: &[&str]| {
        values.iter().fold(service.get("/v1/me"), |request, value| request.header("authorization", value))
    };
    let of_good = format!("Bearer {good}");
    for (what, request, expected) in [
        ("no credentials", service.get("/v1/me"), ASKED),
        ("a password", headers(&["Basic YWRhOnNlY3JldA=="]), ASKED),
        ("another scheme", headers(&[&format!("DPoP {good}")]), ASKED),
        ("in the query", service.get(&format!("/v1/me?access_token={good}")), ASKED),
        ("in a form", service.get("/v1/me").body(format!("access_token={good}")), ASKED),
        ("two good ones", headers(&[&of_good, &of_good]), MALFORMED),
        ("one beside a password", headers(&["Basic YWRhOnNlY3JldA==", &of_good]), MALFORMED),
        ("two in one", headers(&[&format!("{of_good}, {of_good}")]), MALFORMED),
        ("an empty one", headers(&["Bearer "]), MALFORMED),
    ] {
        expect(what, request, expected).await;
    }
    // A method that the route has not is no secret.
    assert_eq!(service.put("/v1/me").await.status, 405);
}

#[tokio::test]
async fn good_credentials_for_something_else_are_403() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let service = start(&issuer, &[]).await;
    let ask = |path: &str, change: fn(&mut Value)| bearer(service.get(path), &key.sign(&issuer.claims(change)));
    assert_eq!(ask("/v1/orders", |_| {}).await.status, 200);
    // As Microsoft's and others write scopes.
    for scopes in [
        |claims: &mut Value| claims["scope"] = json!(["orders:read"]),
        |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove("scope");
            claims["scp"] = json!("orders:read orders:write");
        },
    ] {
        assert_eq!(ask("/v1/orders", scopes).await.status, 200);
    }
    let missing: Expected<'_> =
        (403, "forbidden", &["Bearer realm=\"login\", error=\"insufficient_scope\", scope=\"orders:read\""]);
    for (what, change) in [
        ("no scope", (|claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("scope"))) as fn(&mut Value)),
        ("another scope", |claims| claims["scope"] = json!("orders:write")),
        ("a part of the scope", |claims| claims["scope"] = json!("orders:rea orders:reads")),
    ] {
        expect(what, ask("/v1/orders", change), missing).await;
    }
    // The handler needs a claim that this token has not.
    let anonymous: fn(&mut Value) = |claims| drop(claims.as_object_mut().unwrap().remove("email"));
    expect("no email", ask("/v1/me", anonymous), (403, "forbidden", &[])).await;
}
