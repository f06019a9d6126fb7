use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::Ed25519KeyPair;
use axum::{Json, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::Recipe;

/// A key of the issuer.
struct Key {
    id: &'static str,
    signer: EncodingKey,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("random bytes");
        let der = pair.to_pkcs8v1().expect("a pair in PKCS #8");
        Self { id, signer: EncodingKey::from_ed_der(der.as_ref()) }
    }

    fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.signer, Algorithm::EdDSA).expect("a public key");
        jwk.common.key_id = Some(self.id.into());
        serde_json::to_value(jwk).expect("JSON")
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.signer).expect("a token")
    }
}

/// An issuer that publishes what `keys` holds, and counts how often it is asked.
async fn issuer(keys: Arc<Mutex<Vec<Value>>>, asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = move || {
        asked.fetch_add(1, SeqCst);
        let keys = keys.lock().expect("the keys").clone();
        async move { Json(json!({ "keys": keys })) }
    };
    tokio::spawn(async { axum::serve(listener, axum::Router::new().route("/jwks", get(answer))).await });
    url
}

fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut claims =
        json!({"iss": "https://issuer.example", "aud": "orders", "sub": "ada", "scope": "read", "exp": now + 600});
    change(&mut claims);
    claims
}

/// Status, code, and challenge.
async fn ask(recipe: &Recipe, token: Option<&str>) -> (u16, String, String) {
    let request = recipe.get("/v1/me");
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    let answer = request.send().await.expect("an answer");
    let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("JSON");
    (status, body["code"].as_str().unwrap_or_default().into(), challenge.unwrap_or_default())
}

#[tokio::test]
async fn only_tokens_that_hold_are_let_in() {
    let key = Key::new("one");
    let url = issuer(Arc::new(Mutex::new(vec![key.public()])), Arc::default()).await;
    let recipe = Recipe::start("jwt", &[("APP__APP__KEYS_URL", url.as_str())]).await;

    assert_eq!(ask(&recipe, Some(&key.sign(&claims(|_| {})))).await.0, 200);
    assert_eq!(ask(&recipe, None).await, (401, "token_missing".into(), "Bearer".into()));
    let no_scope = ask(&recipe, Some(&key.sign(&claims(|claims| claims["scope"] = "write".into())))).await;
    assert_eq!((no_scope.0, no_scope.1.as_str()), (403, "scope_missing"));

    let forged = Key { id: "one", ..Key::new("two") };
    let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) };
    let public = serde_json::to_vec(&key.public()).expect("JSON");
    let confused = jsonwebtoken::encode(&header, &claims(|_| {}), &EncodingKey::from_secret(&public)).expect("a token");
    // {"alg":"none","kid":"one"}
    let none = format!("eyJhbGciOiJub25lIiwia2lkIjoib25lIn0.{}.", key.sign(&claims(|_| {})).split('.').nth(1).unwrap());
    for (what, token) in [
        ("expired", key.sign(&claims(|claims| claims["exp"] = 1000.into()))),
        ("not yet", key.sign(&claims(|claims| claims["nbf"] = 99_999_999_999_u64.into()))),
        ("another audience", key.sign(&claims(|claims| claims["aud"] = "bills".into()))),
        ("another issuer", key.sign(&claims(|claims| claims["iss"] = "https://evil.example".into()))),
        ("no end", key.sign(&claims(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))))),
        ("another's signature", forged.sign(&claims(|_| {}))),
        ("the public key as a secret", confused),
        ("no signature", none),
        ("no token", "x.y.z".into()),
    ] {
        let answer = ask(&recipe, Some(&token)).await;
        assert_eq!((answer.0, answer.1.as_str()), (401, "token_invalid"), "{what}");
        assert_eq!(answer.2, "Bearer error=\"invalid_token\"", "{what}");
    }
}

#[tokio::test]
async fn a_rotation_costs_no_request_and_made_up_keys_do_not_load_the_issuer() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let (published, asked) = (Arc::new(Mutex::new(vec![old.public()])), Arc::new(AtomicUsize::new(0)));
    let url = issuer(Arc::clone(&published), Arc::clone(&asked)).await;
    let recipe = Recipe::start("jwt", &[("APP__APP__KEYS_URL", url.as_str()), ("APP__APP__KEYS_PAUSE", "1h")]).await;
    assert_eq!(ask(&recipe, Some(&old.sign(&claims(|_| {})))).await.0, 200);

    *published.lock().expect("the keys") = vec![new.public()];
    assert_eq!(ask(&recipe, Some(&new.sign(&claims(|_| {})))).await.0, 200, "the first token of the new key");
    assert_eq!(ask(&recipe, Some(&old.sign(&claims(|_| {})))).await.0, 401, "the old key is gone");
    let before = asked.load(SeqCst);
    for _ in 0..20 {
        assert_eq!(ask(&recipe, Some(&Key::new("made-up").sign(&claims(|_| {})))).await.0, 401);
    }
    assert_eq!(asked.load(SeqCst), before, "within the pause nobody is asked again");
}

#[tokio::test]
async fn without_keys_nobody_is_let_in() {
    let key = Key::new("one");
    let recipe = Recipe::start("jwt", &[("APP__APP__KEYS_URL", "http://127.0.0.1:9")]).await;
    let answer = ask(&recipe, Some(&key.sign(&claims(|_| {})))).await;
    assert_eq!((answer.0, answer.1.as_str()), (503, "unavailable"));
    recipe.metric_becomes("health_check_up{check=\"keys\"} 0").await;
}
