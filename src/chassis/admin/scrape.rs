//! The text of `/metrics`, made once for all who wait for it.
//!
//! A text takes milliseconds of the thread that answers the probes, and a peer may ask for hundreds on a connection. So
//! texts are made one at a time, with a pause as long as each took, and who asked before one was begun gets that one. It
//! refuses to answer with a text that is older than the question.
//!
//! Next: [`crate::chassis::telemetry`], whose metrics it shows.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use prometheus::Registry;
use tokio::sync::Mutex;

use crate::chassis::telemetry;

/// When the last text was begun, and the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape(Arc<Mutex<Option<(Instant, Bytes)>>>);

impl Scrape {
    /// The metrics of `registry` as they are now or will be in a moment.
    pub(super) async fn text(&self, registry: &Registry) -> Bytes {
        let asked = Instant::now();
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some((_, text)) = last.as_ref().filter(|(begun, _)| *begun >= asked) {
            return text.clone();
        }
        let begun = Instant::now();
        let text = Bytes::from(telemetry::render(registry));
        *last = Some((begun, text.clone()));
        let took = begun.elapsed();
        // The next text waits, and with it everyone who asks meanwhile; the probes are answered.
        tokio::spawn(async move {
            tokio::time::sleep(took).await;
            drop(last);
        });
        text
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
            let text = scrape.text(&registry).await;
            let line = format!("asked_total {expected}");
            assert!(String::from_utf8_lossy(&text).contains(&line), "{text:?}");
        }
    }
}
