//! The smallest app on the chassis: one answer, and as many other routes as asked for. `make bench` measures it.
//!
//! A crate of its own, so that it has the features of the program that ships and none of the tests. `cargo run --package
//! hello`, with the settings of the service and `APP__APP__ROUTES`.

use std::{convert::Infallible, process::ExitCode};

use axum::routing::get;
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
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
    /// Routes in all.
    routes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { routes: 1 }
    }
}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}

fn routes(settings: &Settings) -> Router {
    let hello = Router::new().route("/hello", get(async || "Hello, World!"));
    (1..settings.routes)
        .fold(hello, |router, number| router.route(&format!("/v1/others{number}/{{id}}"), get(async || "other")))
}
