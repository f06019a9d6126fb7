//! What runs beside requests: links that have expired are purged, and a receiver is told of new ones.
//!
//! Next: [`crate::links`].

use std::error::Error;

use chassis::{
    Chassis,
    jobs::{EnqueueError, JobError, Jobs, Options, Webhook},
    postgres::{Database, Transaction},
    upstream::Upstreams,
};
use serde_json::json;

use crate::{Settings, links::Link};

const CREATED: &str = "link.created";

/// Tells the receiver, where there is one.
#[derive(Clone)]
pub(crate) struct Events(Option<Jobs>);

pub(crate) fn start(
    settings: &Settings,
    database: &Database,
    upstreams: &Upstreams,
    chassis: &Chassis,
) -> Result<Events, Box<dyn Error + Send + Sync>> {
    let jobs = Jobs::new(database, &settings.jobs, chassis)?;
    let purged = database.clone();
    jobs.cron("purge", &settings.purge, move |_| purge(purged.clone()))?;
    let Some(url) = &settings.webhook_url else { return Ok(Events(None)) };
    let upstream = upstreams.client("webhook", url, &settings.webhook)?;
    jobs.webhook(CREATED, Webhook { upstream, path: "/events".into(), secret: settings.webhook_secret.clone() });
    Ok(Events(Some(jobs)))
}

impl Events {
    /// It is told if and only if the transaction commits.
    pub(crate) async fn created(&self, transaction: &mut Transaction, link: &Link) -> Result<(), EnqueueError> {
        let Some(jobs) = &self.0 else { return Ok(()) };
        let event = json!({ "type": CREATED, "data": link });
        jobs.enqueue(&mut **transaction, CREATED, &event, Options::key(format!("link-{}", link.id))).await?;
        Ok(())
    }
}

async fn purge(database: Database) -> Result<(), JobError> {
    let purged = sqlx::query("DELETE FROM links WHERE expires_at <= now()").execute(&database).await?.rows_affected();
    tracing::debug!(purged, "links that had expired are deleted");
    Ok(())
}
