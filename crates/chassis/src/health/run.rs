//! One check's life: run, record, rest, again.
//!
//! Next: [`crate::upstream`], what checks most often ask.

use std::time::Duration;

use tokio::time;
use tokio_util::task::AbortOnDropHandle;

use super::{Check, Checks};

/// Runs never overlap: the rest begins when the run has ended.
pub(super) async fn forever(checks: Checks, check: Check) {
    loop {
        checks.record(check.name, run(&check).await);
        time::sleep(jittered(check.interval)).await;
    }
}

/// Asks in a task of its own, so that a panic is a verdict, and not a check that is up for ever.
async fn run(check: &Check) -> Result<(), String> {
    let task = AbortOnDropHandle::new(tokio::spawn((check.probe)()));
    match time::timeout(check.timeout, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the probe panicked".into()),
        Err(_) => Err(format!("no answer within {:?}", check.timeout)),
    }
}

/// 10 % each way, so that replicas that started together do not ask together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}
