//! Groups of routes for those who may call them: tokens of an `OpenID` Connect issuer, tokens that their issuer is asked about,
//! API keys, and workloads of the mesh; and a call to another service with a token of its own.
//!
//! A guard is the layer and the description at once. While the issuer is away, known keys go on; docs/identity.md has a table
//! of what is refused, and how.
//!
//! `APP__APP__LOGIN__ISSUER=https://login.example APP__APP__LOGIN__AUDIENCES=orders APP__APP__API_KEYS=billing:$(openssl rand -hex 32) cargo run -p recipes --example identity --features chassis/tls`

use std::{error::Error, process::ExitCode};

use axum::extract::State;
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    identity::{
        ApiKey, ApiKeys, Caller, Claims, ClientCertificates, Introspection, IntrospectionSettings, Oidc, OidcSettings,
    },
    openapi::get,
    problem::{Json, Problem},
    program::Service,
    router::Router,
    upstream::{self, Credentials, CredentialsSettings, Upstream, Upstreams},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings `app.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The issuer of users' tokens.
    login: OidcSettings,
    /// The issuer of opaque tokens.
    sessions: IntrospectionSettings,
    /// Keys of partners.
    api_keys: Vec<ApiKey>,
    /// The workloads of the mesh that may call `/internal`.
    workloads: Vec<String>,
    /// Another service.
    stock_url: String,
    /// The token for it.
    stock: CredentialsSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let issuer = "http://127.0.0.1:9000";
        let client = || ("orders".to_owned(), "secret of a development machine".into());
        let (client_id, client_secret) = client();
        let sessions = IntrospectionSettings {
            url: format!("{issuer}/introspect"),
            client_id,
            client_secret,
            ..IntrospectionSettings::default()
        };
        let (client_id, client_secret) = client();
        let token_url = format!("{issuer}/token");
        Self {
            login: OidcSettings { issuer: issuer.into(), audiences: vec!["orders".into()], ..OidcSettings::default() },
            sessions,
            api_keys: Vec::new(),
            workloads: Vec::new(),
            stock_url: issuer.into(),
            stock: CredentialsSettings { token_url, client_id, client_secret, ..CredentialsSettings::default() },
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        self.login.check("login", errors);
        self.sessions.check("sessions", errors);
        self.stock.check("stock", errors);
    }
}

pub(crate) const SERVICE: Service = chassis::service!();

fn main() -> ExitCode {
    chassis::main(SERVICE, router)
}

pub(crate) async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, Box<dyn Error + Send + Sync>> {
    let upstreams = Upstreams::new(&chassis.registry, chassis.propagation.clone())?;
    let login = Oidc::new("login", &settings.login, &upstreams, &chassis.checks)?;
    let keys = ApiKeys::new("api_key", &settings.api_keys, &chassis.registry)?;
    let sessions = Introspection::new("session", &settings.sessions, &upstreams)?;
    let mesh = ClientCertificates::of("mesh", settings.workloads.clone());
    let credentials = Credentials::new("stock_token", &settings.stock, &upstreams)?;
    let stock = upstreams.client("stock", &settings.stock_url, &upstream::Settings::default())?;

    Ok(Router::new()
        .route("/v1/me", get(me).about("The claims of a user").protected(login.guard()))
        .route("/v1/orders", get(caller).about("Who calls").protected(login.require(["orders:read"]).or(keys.guard())))
        .route("/v1/session", get(caller).about("Who calls").protected(sessions.require(["orders:read"])))
        .route("/internal/stock", get(caller).about("Who calls").protected(mesh.guard()))
        .route("/stock", get(ask).about("What another service says"))
        .with_state(stock.with_credentials(credentials))
        .documented("Orders", &chassis.identity))
}

/// What this service needs of a token.
#[derive(Serialize, Deserialize, JsonSchema)]
struct User {
    sub: String,
    email: String,
}

async fn me(Claims(user): Claims<User>) -> Json<User> {
    Json(user)
}

/// Who calls, and how it was proven.
#[derive(Serialize, JsonSchema)]
struct Called {
    guard: &'static str,
    subject: String,
}

async fn caller(caller: Caller) -> Json<Called> {
    Json(Called { guard: caller.guard(), subject: caller.subject().to_owned() })
}

async fn ask(State(stock): State<Upstream>) -> Result<Json<Value>, Problem> {
    Ok(Json(stock.get_json("/stock").await?))
}
