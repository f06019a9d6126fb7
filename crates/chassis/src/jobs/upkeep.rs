//! What each replica does beside its jobs: frees those of dead replicas, deletes what was done long ago, counts.
//!
//! Next: [`super::cron`].

use std::{sync::Arc, time::Duration};

use super::{Inner, Settings, queue};

/// 15 s: as often as Prometheus usually asks.
const LONGEST_PERIOD: Duration = Duration::from_secs(15);

/// A quarter of a lease: so much later than its end a job of a dead replica runs again at most.
pub(super) fn period(settings: &Settings) -> Duration {
    (settings.lease.get() / 4).min(LONGEST_PERIOD)
}

pub(super) async fn run(jobs: Arc<Inner>) -> sqlx::Result<()> {
    let lost = queue::reclaim(&jobs.database).await?;
    if lost > 0 {
        tracing::warn!(jobs = lost, "jobs of replicas that gave no sign of life are free again");
    }
    jobs.metrics.set_depths(&queue::depths(&jobs.database).await?);
    queue::delete_done(&jobs.database, jobs.settings.keep_done.get()).await
}
