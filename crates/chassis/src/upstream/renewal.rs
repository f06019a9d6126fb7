//! One renewal at a time of what many requests need: an issuer's keys, a token.
//!
//! It runs in a task of its own, so that a client that leaves does not end it for those who wait with it, and the deadline
//! of one request does not bound it. After a failure the pauses double: a service that is away is not asked by each
//! request.
//!
//! Next: [`super::error`].

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

/// Renewals of one thing; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Renewals {
    state: Arc<Mutex<State>>,
    /// Between two renewals, whatever asks for them.
    pause: Duration,
    /// Between two renewals that fail.
    max_pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    not_before: Option<Instant>,
    failures: u32,
    error: Option<String>,
}

impl Renewals {
    pub(crate) fn new(pause: Duration, max_pause: Duration) -> Self {
        Self { state: Arc::default(), pause, max_pause }
    }

    /// Waits for the renewal that runs, and runs `renew` if it is still needed then, or the last one failed, and the pause is
    /// over.
    ///
    /// # Errors
    /// Why the last renewal failed, whoever began it.
    pub(crate) async fn run<F, E>(
        &self,
        is_needed: impl Fn() -> bool + Send + 'static,
        renew: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), String>
    where
        F: Future<Output = Result<(), E>> + Send,
        E: fmt::Display,
    {
        // Without a task where none is due: forged tokens come here, too.
        if let Ok(state) = self.state.try_lock()
            && state.is_pausing()
        {
            return state.result();
        }
        let this = self.clone();
        let renewed = tokio::spawn(async move {
            let mut state = this.state.lock().await;
            if !state.is_pausing() && (state.error.is_some() || is_needed()) {
                let result = renew().await.map_err(|error| error.to_string());
                this.note(&mut state, result);
            }
            state.result()
        });
        renewed.await.unwrap_or_else(|_| Err("the renewal panicked".to_owned()))
    }

    /// Whether one would begin now.
    pub(crate) fn is_due(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| !state.is_pausing())
    }

    fn note(&self, state: &mut MutexGuard<'_, State>, result: Result<(), String>) {
        state.error = result.err();
        state.failures = if state.error.is_some() { state.failures.saturating_add(1) } else { 0 };
        let doubled = self.pause.saturating_mul(1 << state.failures.saturating_sub(1).min(16));
        // ±10 %, so that replicas that failed together do not come back together.
        let pause = doubled.min(self.max_pause).mul_f64(0.9 + 0.2 * fastrand::f64());
        state.not_before = Some(Instant::now() + pause);
    }
}

impl State {
    fn is_pausing(&self) -> bool {
        self.not_before.is_some_and(|instant| Instant::now() < instant)
    }

    fn result(&self) -> Result<(), String> {
        self.error.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Counts its renewals, of which all fail or none.
    async fn renew(renewals: &Renewals, count: &Arc<AtomicU64>, fails: bool) -> Result<(), String> {
        let count = Arc::clone(count);
        let renew = move || async move {
            tokio::task::yield_now().await;
            count.fetch_add(1, SeqCst);
            if fails { Err("away") } else { Ok(()) }
        };
        renewals.run(|| true, renew).await
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_ask_at_once_cause_one_renewal_and_know_its_result() {
        for (fails, result) in [(false, Ok(())), (true, Err("away".to_owned()))] {
            let (renewals, count) = (Renewals::new(SECOND, SECOND), Arc::new(AtomicU64::new(0)));
            let asked = (0..16).map(|_| renew(&renewals, &count, fails));
            let results = futures_util::future::join_all(asked).await;
            assert!(results.iter().all(|each| *each == result), "{results:?}");
            assert_eq!(count.load(SeqCst), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_goes_on_when_who_began_it_leaves() {
        let (renewals, count) = (Renewals::new(SECOND, SECOND), Arc::new(AtomicU64::new(0)));
        let left = tokio::time::timeout(Duration::ZERO, renew(&renewals, &count, false)).await;
        assert!(left.is_err());
        renew(&renewals, &count, false).await.unwrap();
        assert_eq!(count.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_their_bound_while_it_fails() {
        let (renewals, count) = (Renewals::new(SECOND, 30 * SECOND), Arc::new(AtomicU64::new(0)));
        let mut instants = Vec::new();
        let begun = Instant::now();
        while instants.len() < 8 {
            let before = count.load(SeqCst);
            let _ = renew(&renewals, &count, true).await;
            if count.load(SeqCst) > before {
                instants.push(begun.elapsed().as_secs_f64());
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let pauses: Vec<_> = instants.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (pause, expected) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]) {
            assert!((pause / expected - 1.0).abs() <= 0.2, "{pauses:?}");
        }
    }
}
