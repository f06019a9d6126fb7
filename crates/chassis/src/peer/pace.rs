//! The speed at which a peer sends or reads while we wait for it.
//!
//! Next: [`crate::connection`], which holds peers to it.

use std::time::Duration;

use tokio::time::Instant;

/// The speed at which a peer sends or reads bytes while we wait for it; other time does not count.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a second; zero turns it off.
    min_rate: u64,
    waiting_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// 5 s of waiting before a decision: enough for retransmissions of a lost packet.
    const GRACE: Duration = Duration::from_secs(5);

    pub(crate) fn new(min_rate: u64) -> Self {
        Self { min_rate, waiting_since: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// We wait for the peer.
    pub(crate) fn wait(&mut self) {
        if self.min_rate > 0 && self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
        }
    }

    /// Bytes moved. Returns whether the pace is still fast enough.
    pub(crate) fn moved(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        let Some(since) = self.waiting_since.take() else { return true };
        self.waited += since.elapsed();
        if self.waited < Self::GRACE {
            return true;
        }
        let enough = u128::from(self.bytes) * 1000 >= u128::from(self.min_rate) * self.waited.as_millis();
        // A new window: a fast start does not allow a later stall.
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_too_slow_after_the_grace() {
        let mut pace = Pace::new(240);
        let mut verdicts = Vec::new();
        for _ in 0..6 {
            pace.wait();
            tokio::time::advance(Duration::from_secs(1)).await;
            verdicts.push(pace.moved(1));
        }
        assert_eq!(verdicts, [true, true, true, true, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let mut pace = Pace::new(240);
        for _ in 0..60 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(pace.moved(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_above_the_minimum_goes_on() {
        let mut pace = Pace::new(240);
        for _ in 0..60 {
            pace.wait();
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(pace.moved(300));
        }
    }
}
