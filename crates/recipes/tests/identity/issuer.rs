//! An `OpenID` Connect issuer on loopback: discovery, keys, introspection, tokens for services, and a service that asks for them.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A signing key.
#[derive(Clone)]
pub(crate) struct Key {
    id: String,
    algorithm: Algorithm,
    signer: EncodingKey,
}

impl Key {
    pub(crate) fn new(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("random bytes");
        let der = pair.to_pkcs8v1().expect("a pair in PKCS #8");
        Self { id: id.into(), algorithm: Algorithm::EdDSA, signer: EncodingKey::from_ed_der(der.as_ref()) }
    }

    /// On another curve.
    pub(crate) fn ecdsa(id: &str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("random bytes");
        Self { id: id.into(), algorithm: Algorithm::ES256, signer: EncodingKey::from_ec_der(der.as_ref()) }
    }

    /// As the issuer publishes it.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.signer, self.algorithm).expect("a public key");
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    pub(crate) fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.signer).expect("a token")
    }

    pub(crate) fn header(&self) -> Header {
        Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) }
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// What the issuer says, and how often it was asked.
pub(crate) struct Said {
    /// The `issuer` of its discovery document, where that is another.
    pub(crate) name: Mutex<Option<String>>,
    pub(crate) keys: Mutex<Vec<Value>>,
    /// What the introspection says.
    pub(crate) introspected: Mutex<Value>,
    /// How long its tokens for services live, in seconds.
    pub(crate) lifetime: AtomicUsize,
    /// The number of the token that the service takes; older ones are refused.
    pub(crate) valid_from: AtomicUsize,
    pub(crate) discoveries: AtomicUsize,
    pub(crate) introspections: AtomicUsize,
    pub(crate) tokens: AtomicUsize,
    pub(crate) forms: Mutex<Vec<String>>,
    url: String,
}

/// The issuer, which can be away for a while.
pub(crate) struct Issuer {
    pub(crate) said: Arc<Said>,
    pub(crate) url: String,
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let mut issuer = Self::away(keys).await;
        issuer.resume().await;
        issuer
    }

    /// One that is not there yet.
    pub(crate) async fn away(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}");
        let said = Arc::new(Said {
            name: Mutex::default(),
            keys: Mutex::new(keys.iter().map(|key| key.public()).collect()),
            introspected: Mutex::new(json!({ "active": false })),
            lifetime: AtomicUsize::new(3600),
            valid_from: AtomicUsize::new(0),
            discoveries: AtomicUsize::new(0),
            introspections: AtomicUsize::new(0),
            tokens: AtomicUsize::new(0),
            forms: Mutex::default(),
            url: url.clone(),
        });
        Self { said, url, address, running: None }
    }

    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        let (stop, stopped) = oneshot::channel();
        let routes = routes(Arc::clone(&self.said));
        let running = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            axum::serve(listener, routes).with_graceful_shutdown(stopped).await.expect("it serves");
        });
        self.running = Some((stop, running));
    }

    /// Closes its port and all connections.
    pub(crate) async fn lose(&mut self) {
        let (stop, running) = self.running.take().expect("it runs");
        drop(stop);
        running.await.expect("it ended");
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.said.keys.lock().expect("the keys") = keys.iter().map(|key| key.public()).collect();
    }

    /// The claims of a good token, changed.
    pub(crate) fn claims(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut claims = json!({
            "iss": self.url, "aud": "orders", "sub": "ada", "email": "ada@example.com",
            "scope": "profile orders:read", "iat": now(), "exp": now() + 600,
        });
        change(&mut claims);
        claims
    }
}

fn routes(said: Arc<Said>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discover))
        .route("/keys", get(keys))
        .route("/introspect", post(introspect))
        .route("/token", post(token))
        .route("/stock", get(stock))
        .with_state(said)
}

async fn discover(State(said): State<Arc<Said>>) -> Json<Value> {
    said.discoveries.fetch_add(1, SeqCst);
    let name = said.name.lock().expect("the name").clone().unwrap_or_else(|| said.url.clone());
    Json(json!({ "issuer": name, "jwks_uri": format!("{}/keys", said.url) }))
}

async fn keys(State(said): State<Arc<Said>>) -> Json<Value> {
    let keys = said.keys.lock().expect("the keys").clone();
    Json(json!({ "keys": keys }))
}

/// `orders:a secret/of+ours`, each encoded as in a form.
const CLIENT: &str = "Basic b3JkZXJzOmErc2VjcmV0JTJGb2YlMkJvdXJz";

async fn introspect(State(said): State<Arc<Said>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    said.introspections.fetch_add(1, SeqCst);
    if headers.get("authorization").is_none_or(|value| value != CLIENT) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    Ok(Json(said.introspected.lock().expect("what it says").clone()))
}

async fn token(State(said): State<Arc<Said>>, headers: HeaderMap, form: String) -> Result<Json<Value>, StatusCode> {
    if headers.get("authorization").is_none_or(|value| value != CLIENT) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    said.forms.lock().expect("the forms").push(form);
    let number = said.tokens.fetch_add(1, SeqCst) + 1;
    let lifetime = said.lifetime.load(SeqCst);
    Ok(Json(json!({ "access_token": number.to_string(), "token_type": "Bearer", "expires_in": lifetime })))
}

async fn stock(State(said): State<Arc<Said>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let number: Option<usize> = value.strip_prefix("Bearer ").and_then(|number| number.parse().ok());
    match number {
        Some(number) if number >= said.valid_from.load(SeqCst) => Ok(Json(json!({ "token": number }))),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}
