//! An app of which two routes move from Python: `app.moved` says whether they have. The second shares Flask's session.
//!
//! The tests start it before and after, as a team rolls out two versions of its service.

use std::process::ExitCode;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::IntoResponse,
    routing::{get, post},
};
use chassis::{
    Chassis,
    config::{self, SettingErrors},
    router::Router,
    wsgi,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod session;

use self::session::Sessions;

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |settings: &Settings, chassis: &Chassis| {
        let router = if settings.moved { routes() } else { Router::new() };
        wsgi::mount(router, settings.wsgi.as_deref(), &settings.python, chassis)
    })
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    wsgi: Option<String>,
    python: wsgi::Settings,
    moved: bool,
}

impl config::Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        self.python.check("python", "wsgi", self.wsgi.as_deref(), errors);
    }
}

fn routes() -> Router {
    Router::new()
        .route("/prices/{number}", get(price))
        .route("/carts/{name}", post(cart))
        .with_state(Sessions::new("of the tests"))
}

/// As shop.py has it.
async fn price(Path(number): Path<u64>) -> impl IntoResponse {
    ([("x-by", "rust")], Json(json!({ "number": number, "cents": 100 + number })))
}

/// The same, in the session that Flask began or goes on with.
async fn cart(State(sessions): State<Sessions>, Path(name): Path<String>, headers: HeaderMap) -> impl IntoResponse {
    let cookies = headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
    let mut session = sessions.read(cookies);
    let items = session.get("items").and_then(Value::as_u64).unwrap_or(0) + 1;
    session.insert("items".into(), items.into());
    let headers = [(header::SET_COOKIE, sessions.write(&session))];
    (headers, Json(json!({ "cart": name, "items": items })))
}
