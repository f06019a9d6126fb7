//! What the cases need of the root package's harness.

#[allow(dead_code, reason = "the root package's tests use the rest")]
#[path = "../../../../chassis/tests/it/harness/http.rs"]
pub(crate) mod http;

use std::time::{Duration, Instant};

/// Polls `probe` every 5 ms until it gives something, or `bound` has passed.
pub(crate) async fn within<T>(bound: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + bound;
    while Instant::now() < deadline {
        if let Some(found) = probe().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}
