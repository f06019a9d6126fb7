//! Interim (1xx) responses of an upstream: hyper skips any number of them, so an upstream could keep a processor busy
//! until the call's timeout.
//!
//! Next: [`super::breaker`].

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use http::Request;
use tokio::sync::Notify;

/// 100: a server that sends early hints sends a few, and one that says "processing" does so every 20 s.
const MOST: u32 = 100;

/// Those of one request.
#[derive(Default)]
pub(super) struct Interim {
    came: AtomicU32,
    too_many: Notify,
}

impl Interim {
    /// Counts what comes before the response to `request`.
    pub(super) fn count<B>(request: &mut Request<B>) -> Arc<Self> {
        let interim = Arc::new(Self::default());
        let counted = Arc::clone(&interim);
        hyper::ext::on_informational(request, move |_| {
            if counted.came.fetch_add(1, Relaxed) == MOST {
                counted.too_many.notify_one();
            }
        });
        interim
    }

    /// Resolves when more than [`MOST`] came.
    pub(super) async fn too_many(&self) {
        self.too_many.notified().await;
    }
}
