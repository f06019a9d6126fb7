//! The smallest app on the chassis: one answer, and as many other routes as asked for. `make bench` measures it.
//!
//! A crate of its own, so that it has the features of the program that ships and none of the tests. `cargo run --package
//! hello`, with the settings of the service and `APP__APP__ROUTES`.

use std::{convert::Infallible, process::ExitCode};

use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::chassis::{
    config::{Check, Environment, Problems, Sources, cli},
    replica,
    router::Router,
};

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(cli::Command::Run(options)) => options,
        _ => cli::Options::default(),
    };
    let sources = Sources::new(options, Environment::capture());
    let identity = service::identity(&sources.environment);
    replica::run(sources, identity, |settings: &Settings, _| Ok::<_, Infallible>(routes(settings))).into()
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
    fn check(&self, _: &mut Problems) {}
}

fn routes(settings: &Settings) -> Router {
    let hello = Router::new().route("/hello", get(async || "Hello, World!"));
    (1..settings.routes)
        .fold(hello, |router, number| router.route(&format!("/v1/others{number}/{{id}}"), get(async || "other")))
}
