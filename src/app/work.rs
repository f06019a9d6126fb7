//! `GET /v1/work?cpu_ms=&sleep_ms=&bytes=`: bounded work, for load tests.
//!
//! `cpu_ms` uses CPU time of the thread, not wall time, so that a busy machine makes it slower, like real work.
//! Delete it with its route and the dependency `nix` before the service is on the internet. `load-tests/requests.js`,
//! `tests/api/hooks.py` and `tests/service/app/mod.rs` use it. Next: [`super::home`].

use std::{hint, time::Duration};

use http::header;
use nix::time::ClockId;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time;

use chassis::{
    openapi::{Methods, Output, get},
    problem::Query,
};

/// 1 s: occupying a thread for longer tests nothing more.
const MAX_CPU_MS: u64 = 1000;
/// 10 s: below the server's default request timeout.
const MAX_SLEEP_MS: u64 = 10_000;
/// 1 MiB: enough to fill a socket's buffers.
const MAX_BYTES: usize = 1 << 20;

/// The requested work; `Query` refuses more than the bounds.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Work {
    /// CPU time to burn, in milliseconds, up to 1,000.
    #[schemars(range(max = MAX_CPU_MS))]
    pub cpu_ms: u64,
    /// Time to wait, in milliseconds, up to 10,000.
    #[schemars(range(max = MAX_SLEEP_MS))]
    pub sleep_ms: u64,
    /// Length of the response, up to 1,048,576.
    #[schemars(range(max = MAX_BYTES))]
    pub bytes: usize,
}

/// The route.
pub fn perform() -> Methods {
    get(answer).about("Bounded work, for load tests")
}

async fn answer(Query(work): Query<Work>) -> impl Output {
    burn(Duration::from_millis(work.cpu_ms));
    time::sleep(Duration::from_millis(work.sleep_ms)).await;
    ([(header::CACHE_CONTROL, "no-store")], ".".repeat(work.bytes))
}

fn burn(time: Duration) {
    if time.is_zero() {
        return;
    }
    let end = cpu_time() + time;
    while cpu_time() < end {
        // A few microseconds, so that reading the clock is not most of the work.
        hint::black_box((0..4096_u64).fold(0, |sum, n| hint::black_box(sum) ^ n));
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("Linux has a CPU clock for every thread").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_burns_cpu_time_of_its_thread() {
        let begun = cpu_time();
        burn(Duration::from_millis(20));
        let burnt = cpu_time().saturating_sub(begun);
        assert!((20..40).contains(&burnt.as_millis()), "{burnt:?}");
    }
}
