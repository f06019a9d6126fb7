//! The text of `/metrics`, rendered once for all requests that wait for it.
//!
//! Rendering takes milliseconds of the thread that answers the probes, and a peer may request hundreds at once. So
//! texts are rendered one at a time, each with an equally long pause after it, and earlier requests share one text. It
//! never returns a text that is older than the request.
//!
//! A connection that waits for a text occupies a slot. So under many requests, each connection gets one text: the
//! next connection, which may be a probe, then gets the slot.
//!
//! Next: [`crate::telemetry`], whose metrics it shows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use prometheus::Registry;
use tokio::sync::Mutex;

use crate::telemetry;

/// 8: two Prometheus servers, an agent, and an operator's curl, twice over.
const CROWD: usize = 8;

#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    /// When the last text was begun, and the text.
    last: Arc<Mutex<Option<(Instant, Bytes)>>>,
    asking: Arc<AtomicUsize>,
}

/// One pending request for the text; dropping it withdraws the request.
pub(super) struct Asking<'a> {
    scrape: &'a Scrape,
    crowded: bool,
}

impl Asking<'_> {
    /// Whether more requests wait than any monitoring sends: their connections occupy the slots that probes need.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The metrics of `registry` as they are now or will be in a moment.
    pub(super) async fn text(&self, registry: &Registry) -> Bytes {
        let asked = Instant::now();
        let mut last = Arc::clone(&self.scrape.last).lock_owned().await;
        if let Some((_, text)) = last.as_ref().filter(|(begun, _)| *begun >= asked) {
            return text.clone();
        }
        let begun = Instant::now();
        let text = Bytes::from(telemetry::render(registry));
        *last = Some((begun, text.clone()));
        let took = begun.elapsed();
        // The next text is delayed, together with all requests for it; the thread is free for probes.
        tokio::spawn(async move {
            tokio::time::sleep(took).await;
            drop(last);
        });
        text
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.scrape.asking.fetch_sub(1, Relaxed);
    }
}

impl Scrape {
    /// Joins the next rendering.
    pub(super) fn ask(&self) -> Asking<'_> {
        let crowded = self.asking.fetch_add(1, Relaxed) >= CROWD;
        Asking { scrape: self, crowded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::IntCounter;

    #[tokio::test]
    async fn a_text_is_never_older_than_the_question() {
        let (registry, scrape) = (Registry::new(), Scrape::default());
        let counter = IntCounter::new("asked_total", "Questions.").expect("a metric");
        registry.register(Box::new(counter.clone())).expect("registered once");
        for expected in 1..=3 {
            counter.inc();
            let text = scrape.ask().text(&registry).await;
            let line = format!("asked_total {expected}");
            assert!(String::from_utf8_lossy(&text).contains(&line), "{text:?}");
        }
    }

    #[test]
    fn more_than_monitoring_needs_are_a_crowd() {
        let scrape = Scrape::default();
        let asking: Vec<_> = (0..=CROWD).map(|_| scrape.ask()).collect();
        assert_eq!(asking.iter().filter(|asking| asking.is_crowded()).count(), 1);
        drop(asking);
        assert!(!scrape.ask().is_crowded());
    }
}
