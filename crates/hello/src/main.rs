//! The smallest app on the chassis: one answer, and other routes as asked for. `make bench` measures it.
//!
//! A crate of its own, so that it has the features of the program that ships and none of the tests; `tls` is for the rows
//! of TLS. `cargo run --package hello`, with the settings of the service, `APP__APP__ROUTES` and `APP__APP__LARGE`.

use std::{convert::Infallible, process::ExitCode};

use axum::body::Bytes;
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    openapi::get,
    router::Router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |settings: &Settings, _: &Chassis| Ok::<_, Infallible>(routes(settings)))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Routes in all, but for `/large`.
    routes: usize,
    /// Bytes of `/large`; without, there is none.
    large: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { routes: 1, large: 0 }
    }
}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}

fn routes(settings: &Settings) -> Router {
    let hello = Router::new().route("/hello", get(async || "Hello, World!"));
    let routes = (1..settings.routes)
        .fold(hello, |router, number| router.route(&format!("/v1/others{number}/{{id}}"), get(async || "other")));
    if settings.large == 0 {
        return routes;
    }
    let large = Bytes::from(vec![b'x'; settings.large]);
    routes.route("/large", get(async move || large.clone()))
}
