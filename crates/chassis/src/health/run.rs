//! The loop of one check: run, record, pause.
//!
//! Next: [`crate::upstream`], the most common target of checks.

use std::time::Duration;

use tokio::time;
use tokio_util::task::AbortOnDropHandle;

use super::{Check, Checks};

/// Runs never overlap: the pause begins when the run has ended.
pub(super) async fn forever(checks: Checks, check: Check) {
    loop {
        checks.record(check.name, run(&check).await);
        time::sleep(jittered(check.interval)).await;
    }
}

/// Runs in its own task, so that a panic counts as a failure and does not freeze the check's last result.
async fn run(check: &Check) -> Result<(), String> {
    let task = AbortOnDropHandle::new(tokio::spawn((check.probe)()));
    match time::timeout(check.timeout, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the probe panicked".into()),
        Err(_) => Err(format!("no response within {:?}", check.timeout)),
    }
}

/// ±10 %, so that replicas that started together do not run their checks together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}
