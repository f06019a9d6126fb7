//! An app with resources: its start waits for what its settings name, as one with a database does.
//!
//! `APP__APP__DATABASE=127.0.0.1:5432 cargo run -p chassis-tests --bin resources`.

use std::{future::pending, process::ExitCode, thread};

use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    openapi::get,
    router::Router,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

fn main() -> ExitCode {
    chassis::main(chassis::service!(), router)
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// What answers before the replica is ready: `host:port`.
    database: Option<String>,
    /// How the function that makes the routes ends.
    start: Start,
}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Start {
    #[default]
    Well,
    Fails,
    /// Awaits what never comes.
    Waits,
    /// Keeps its thread.
    Blocks,
}

async fn router(settings: &Settings, chassis: &Chassis) -> Result<Router, String> {
    match settings.start {
        Start::Well => tokio::task::yield_now().await,
        Start::Fails => return Err("the table is gone".to_owned()),
        Start::Waits => pending().await,
        Start::Blocks => loop {
            thread::park();
        },
    }
    if let Some(address) = settings.database.clone() {
        chassis.before_ready("database", move || connect(address.clone()));
    }
    let routes = Router::new().route("/hello", get(async || "hello\n").about("Says hello"));
    Ok(routes.documented("Resources", &chassis.identity))
}

async fn connect(address: String) -> Result<(), std::io::Error> {
    TcpStream::connect(address).await.map(drop)
}
