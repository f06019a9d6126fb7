//! The app's start: its routes, and what it waits for before the replica is ready.
//!
//! The app's function runs on a thread of its own, inside the I/O runtime: one that blocks, as a migration or an import
//! does, holds back neither the probes nor a stop signal, and its future may hold what is not `Send`. The types of
//! the app end here.
//!
//! Next: [`crate::lifecycle`], with the steps.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use tokio::{runtime::Handle, time};
use tokio_util::sync::CancellationToken;

use super::{Chassis, StartError, control::on_a_thread};
use crate::{
    config::{AppSettings, Settings},
    router::Router,
    telemetry::panic_message,
};

/// The app's function, run to its end on the present thread; none if it is cancelled before.
pub(super) type App = Box<dyn FnOnce(&Handle, &Chassis, &CancellationToken) -> Option<Routes> + Send>;

type Routes = Result<Router, StartError>;

/// `app` without its types.
pub(super) fn erased<A, F, E>(settings: Arc<Settings<A>>, app: F) -> App
where
    A: AppSettings,
    F: AsyncFnOnce(&A, &Chassis) -> Result<Router, E> + Send + 'static,
    E: fmt::Display,
{
    Box::new(move |io, chassis, cancelled| {
        let start = AssertUnwindSafe(|| io.block_on(cancelled.run_until_cancelled(app(&settings.app, chassis))));
        match panic::catch_unwind(start) {
            Ok(routes) => Some(routes?.map_err(failed)),
            // The panic's own line is that of the hook.
            Err(panic) => Some(Err(failed(format!("it panicked: {}", panic_message(&*panic))))),
        }
    })
}

pub(super) fn failed(error: impl fmt::Display) -> StartError {
    StartError::new("starting the app", error)
}

/// The app's routes, once each step has succeeded too.
pub(super) async fn start(app: App, chassis: &Chassis, io: &Handle, bound: Duration) -> Routes {
    within(bound, chassis, async {
        let routes = routes(app, chassis.clone(), io.clone()).await?;
        run_steps(chassis, io).await?;
        Ok(routes)
    })
    .await
}

/// Until each step has succeeded.
pub(super) async fn run_steps(chassis: &Chassis, io: &Handle) -> Result<(), StartError> {
    let ran = chassis.steps.run(io).await;
    ran.map_err(|(step, reason)| StartError::new(format!("waiting for {step}"), reason))
}

/// Cancelled where nobody waits for it any more.
async fn routes(app: App, chassis: Chassis, io: Handle) -> Routes {
    let cancelled = CancellationToken::new();
    let _cancel = cancelled.clone().drop_guard();
    let routes = on_a_thread("start", move || app(&io, &chassis, &cancelled)).await;
    routes.expect("it is cancelled by a drop of this future only")
}

/// `start`, or an error that says what it waited for.
pub(super) async fn within<T>(
    bound: Duration,
    chassis: &Chassis,
    start: impl Future<Output = Result<T, StartError>>,
) -> Result<T, StartError> {
    if let Ok(started) = time::timeout(bound, start).await {
        return started;
    }
    let late = format!("not done within lifecycle.start_timeout ({bound:?})");
    Err(match chassis.steps.current() {
        None => failed(late),
        Some((step, None)) => {
            StartError::new(format!("waiting for {step}"), format!("{late}; its first try still runs"))
        }
        Some((step, Some(error))) => StartError::new(format!("waiting for {step}"), format!("{late}: {error}")),
    })
}
