//! Circuit breaker: stops calls to a failing upstream, and tests it with a single call from time to time.
//!
//! Next: [`super::metrics`].

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::IntGauge;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Settings, UpstreamError};

/// 1 s: about the time a replica needs to restart; the pause doubles if it needs more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Breaker {
    name: &'static str,
    state: Mutex<State>,
    failures: u32,
    max_pause: Duration,
    open: IntGauge,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        pause: Duration,
    },
    /// Half-open: one test call is in progress.
    HalfOpen {
        pause: Duration,
    },
}

/// Permission for one call. If it is dropped without an outcome (its caller is gone), the breaker ignores it.
#[must_use]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    /// Whether this is the one call of a half-open circuit.
    trial: bool,
}

impl Breaker {
    pub(super) fn new(name: &'static str, settings: &Settings, open: IntGauge) -> Self {
        open.set(0);
        Self {
            name,
            state: Mutex::new(State::Closed { failures: 0 }),
            failures: settings.breaker_failures,
            max_pause: settings.breaker_max_pause.get(),
            open,
        }
    }

    /// Grants permission for a call.
    pub(super) fn acquire(&self) -> Result<Permit<'_>, UpstreamError> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(Permit { breaker: self, trial: false }),
            State::Open { until, pause } if Instant::now() >= until => {
                *state = State::HalfOpen { pause };
                Ok(Permit { breaker: self, trial: true })
            }
            State::Open { .. } | State::HalfOpen { .. } => Err(UpstreamError::CircuitOpen),
        }
    }

    fn close(&self, state: &mut State) {
        *state = State::Closed { failures: 0 };
        self.open.set(0);
        info!(upstream = self.name, "circuit breaker for {} closed", self.name);
    }

    /// Half of each pause is jitter, so that replicas do not retry together.
    fn open(&self, state: &mut State, pause: Duration) {
        let pause = pause.min(self.max_pause);
        let jittered = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
        if self.open.get() == 0 {
            warn!(upstream = self.name, "circuit breaker for {} open after {} failures", self.name, self.failures);
        }
        *state = State::Open { until: Instant::now() + jittered, pause };
        self.open.set(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single assignment, so a panic cannot leave half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The upstream responded.
    pub(super) fn succeed(self) {
        let mut state = self.breaker.state();
        match &mut *state {
            // Calls that began before the circuit opened do not close it.
            State::Closed { failures } => *failures = 0,
            _ if self.trial => self.breaker.close(&mut state),
            _ => {}
        }
        drop(state);
        mem::forget(self);
    }

    /// The upstream failed.
    pub(super) fn fail(self) {
        let mut state = self.breaker.state();
        match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                if *failures >= self.breaker.failures {
                    self.breaker.open(&mut state, FIRST_PAUSE);
                }
            }
            State::HalfOpen { pause } if self.trial => {
                let pause = *pause * 2;
                self.breaker.open(&mut state, pause);
            }
            _ => {}
        }
        drop(state);
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if let (true, State::HalfOpen { pause }) = (self.trial, *state) {
            *state = State::Open { until: Instant::now(), pause };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new("rates", &Settings::default(), IntGauge::new("open", "open").unwrap())
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            breaker.acquire().unwrap().fail();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_the_circuit_and_others_do_not() {
        let breaker = breaker();
        fail(&breaker, 4);
        breaker.acquire().unwrap().succeed();
        fail(&breaker, 4);
        assert_eq!(breaker.open.get(), 0);
        fail(&breaker, 1);
        assert!(matches!(breaker.acquire(), Err(UpstreamError::CircuitOpen)));
        assert_eq!(breaker.open.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_open_circuit_lets_one_call_through_and_its_success_closes_it() {
        let breaker = breaker();
        fail(&breaker, 5);
        advance(FIRST_PAUSE).await;
        let trial = breaker.acquire().unwrap();
        assert!(breaker.acquire().is_err());
        trial.succeed();
        assert_eq!(breaker.open.get(), 0);
        fail(&breaker, 4);
        breaker.acquire().unwrap().succeed();
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_up_to_its_bound() {
        let breaker = breaker();
        fail(&breaker, 5);
        for expected in [2, 4, 8, 16, 30, 30] {
            advance(Duration::from_secs(30)).await;
            breaker.acquire().unwrap().fail();
            let State::Open { until, pause } = *breaker.state() else { panic!("the circuit breaker is open") };
            assert_eq!(pause, Duration::from_secs(expected));
            let wait = until - Instant::now();
            assert!(pause / 2 <= wait && wait <= pause, "{wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_whose_caller_went_away_makes_room_for_the_next() {
        let breaker = breaker();
        fail(&breaker, 5);
        advance(FIRST_PAUSE).await;
        drop(breaker.acquire().unwrap());
        breaker.acquire().unwrap().succeed();
        assert_eq!(breaker.open.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_call_that_ends_late_does_not_close_the_circuit() {
        let breaker = breaker();
        let early = breaker.acquire().unwrap();
        fail(&breaker, 5);
        early.succeed();
        assert!(breaker.acquire().is_err());
    }
}
