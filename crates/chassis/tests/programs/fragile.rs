//! An app whose start goes wrong in the way that `app.end` says, and whose route blocks a worker. The tests of the
//! feature `host` use it.
//!
//! `APP__APP__END=panic cargo run --features host --example fragile`.

use std::{convert::Infallible, process, process::ExitCode, thread, time::Duration};

use axum::routing::get;
use chassis::{
    Chassis,
    config::{Check, SettingErrors},
    router::Router,
};
use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    chassis::main(chassis::service!(), async |settings: &Settings, _: &Chassis| {
        settings.end.come();
        Ok::<_, Infallible>(Router::new().route("/block", get(block)))
    })
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How the start ends.
    end: End,
}

impl Check for Settings {
    fn check(&self, _: &mut SettingErrors) {}
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum End {
    /// Well.
    #[default]
    Ready,
    Panic,
    Abort,
    Segfault,
    /// Never.
    Hang,
}

impl End {
    fn come(self) {
        match self {
            Self::Ready => {}
            Self::Panic => panic!("a start that panics"),
            Self::Abort => process::abort(),
            // Rust's own handler takes the first, as it might be a stack that is full.
            Self::Segfault => (0..2).for_each(|_| raise(Signal::SIGSEGV).expect("raising a signal")),
            Self::Hang => loop {
                thread::park();
            },
        }
    }
}

/// Keeps the worker for two seconds.
async fn block() -> &'static str {
    thread::sleep(Duration::from_secs(2));
    "blocked\n"
}
