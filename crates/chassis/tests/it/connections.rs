//! What single connections are promised: bounds for those that do not do their part, and no loss for the others.
//!
//! Next: `connections::slow`.

mod age;
pub(crate) mod answers;
mod bodies;
mod cap;
mod cut;
mod ends;
mod frames;
mod heads;
mod http2;
mod malformed;
mod refused;
mod memory;
mod slow;

use std::time::Duration;

use crate::harness::{eventually, server::Server};

/// How many connections ended for `reason`.
async fn closed(server: &Server, reason: &str) -> f64 {
    server.series("http_server_connections_closed_total", &format!("reason=\"{reason}\"")).await
}

/// Waits until `number` connections have ended for `reason`, and no more.
async fn closes(server: &Server, reason: &str, number: f64) {
    let what = format!("{number} connections ended for {reason}");
    let all = async || (closed(server, reason).await >= number - 0.5).then_some(());
    // A connection lingers for up to 2 s before its end counts.
    eventually(&what, Duration::from_secs(5), all).await;
    assert!(closed(server, reason).await < number + 0.5, "more than {what}");
}
