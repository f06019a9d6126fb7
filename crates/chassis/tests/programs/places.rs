//! Another app on the same chassis, for overload: a handler that computes, and one that holds one of a few permits
//! while it waits, as one that uses a database's connection pool does. `template/scripts/measure-overload` drives it.
//!
//! `cargo run --example places`, with the same settings and the same admin listener as the service.

use std::{convert::Infallible, process::ExitCode, sync::Arc, time::Duration};

use axum::{extract::Query, routing::get};
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    router::Router,
};
use nix::time::ClockId;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |settings: &Settings, _: &Chassis| Ok::<_, Infallible>(routes(settings)))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How many queries run at once.
    permits: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { permits: 5 }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        errors.require(self.permits > 0, "permits", "expected a number above zero");
    }
}

fn routes(settings: &Settings) -> Router {
    let permits = Arc::new(Semaphore::new(settings.permits));
    Router::new()
        .route("/hello", get(async || "hello\n"))
        .route("/query", get(async move |Query(query): Query<Ask>| query.run(&permits).await))
        .pool("database")
        .route("/v1/work", get(async |Query(work): Query<Work>| work.run()))
        .cpu_bound()
}

/// CPU time to burn; parts of a millisecond as well.
#[derive(Deserialize)]
struct Work {
    cpu_ms: f64,
}

impl Work {
    /// CPU time of the thread, not wall time: a busy machine makes it slower, as real work is.
    fn run(self) -> &'static str {
        let spent = || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("Linux has this clock"));
        let end = spent() + Duration::from_secs_f64(self.cpu_ms.max(0.0) / 1e3);
        while spent() < end {
            std::hint::black_box((0..4096_u64).fold(0, |sum, n| std::hint::black_box(sum) ^ n));
        }
        "worked\n"
    }
}

/// How long a query takes, in the mean.
#[derive(Deserialize)]
struct Ask {
    #[serde(default)]
    ms: f64,
}

impl Ask {
    /// A quarter of the mean at least, and an exponential rest, up to five times the mean.
    async fn run(self, permits: &Semaphore) -> &'static str {
        let _permit = permits.acquire().await.expect("never closed");
        let times = 0.25 - 0.75 * (1.0 - fastrand::f64()).ln();
        tokio::time::sleep(Duration::from_secs_f64(self.ms / 1e3 * times.min(5.0))).await;
        "queried\n"
    }
}
