//! Tokens of an issuer, beside keys.

use std::{
    convert::Infallible,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::Ed25519KeyPair;
use axum::{Json, routing::get};
use chassis::{Chassis, router::Router, testing::Service};
use http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    postgres::Postgres,
    service::{keyed, start},
};

fn url(headers: &HeaderMap) -> String {
    format!("http://{}", headers["host"].to_str().expect("a host"))
}

/// An issuer with one key.
async fn issuer(key: Value) -> Service {
    let app = async move |(): &(), _: &Chassis| {
        let document = |headers: HeaderMap| async move {
            let url = url(&headers);
            Json(json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }))
        };
        let keys = move || std::future::ready(Json(json!({ "keys": [key] })));
        let router = Router::new().route("/.well-known/openid-configuration", get(document)).route("/keys", get(keys));
        Ok::<_, Infallible>(router)
    };
    let none: [(&str, &str); 0] = [];
    Service::start(links::SERVICE, app, none).await.expect("it starts")
}

#[tokio::test]
async fn a_token_with_the_scope_is_as_good_as_a_key() {
    let pair = Ed25519KeyPair::generate().expect("random bytes").to_pkcs8v1().expect("a pair in PKCS #8");
    let signer = EncodingKey::from_ed_der(pair.as_ref());
    let mut key = Jwk::from_encoding_key(&signer, Algorithm::EdDSA).expect("a public key");
    key.common.key_id = Some("one".into());
    let issuer = issuer(json!(key)).await;
    let url = format!("http://{}", issuer.app());

    let postgres = Postgres::shared();
    let login = [("APP__APP__LOGIN__ISSUER", &*url), ("APP__APP__LOGIN__AUDIENCES", "links")];
    let (service, _) = start(&postgres, &login).await;
    let ask = |scope: &str| {
        let expires = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() + 60;
        let claims = json!({ "iss": url, "aud": "links", "sub": "ada", "scope": scope, "exp": expires });
        let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &signer).expect("a token");
        service.get("/v1/links").header("authorization", &format!("Bearer {token}"))
    };
    assert_eq!(ask("links").await.status, 200);
    assert_eq!(ask("orders").await.status, 403);
    assert_eq!(keyed(service.get("/v1/links")).await.status, 200);
    let refused = service.get("/v1/links").await;
    let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!((refused.status, challenges.len()), (401, 2), "{challenges:?}");
    let described: Value = service.get("/openapi.json").await.json();
    let expected = json!([{ "api_key": [] }, { "login": ["links"] }]);
    assert_eq!(described["paths"]["/v1/imports"]["post"]["security"], expected);
}
