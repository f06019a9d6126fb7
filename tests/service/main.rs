//! The service's own tests.
//!
//! `app` is about this one's routes and settings; the others hold for any service.
//!
//! Next: `run`.

mod app;
mod description;
mod generated;
mod run;

use std::path::Path;

use chassis::{Chassis, config::Environment, testing};
use serde_json::Value;
use service::{SERVICE, Settings, app as service_app};

/// The settings without which it does not start.
fn app_env() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/app.env"))
}

fn settings() -> Settings {
    testing::loaded(app_env())
}

/// A replica that has not started.
fn chassis() -> Chassis {
    Chassis::detached(SERVICE.identity(&Environment::default()))
}

/// The API's description.
fn document() -> Value {
    let routes =
        async |_: &service_app::Settings, chassis: &Chassis| service_app::router(&settings().app, chassis).await;
    SERVICE.openapi(routes).expect("the API's description")
}
