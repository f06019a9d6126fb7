//! The pause before a job's next attempt.
//!
//! Next: [`super::error`].

use std::time::Duration;

use super::Settings;

/// After `attempt` failures, of which the first is 1: `first_pause`, doubled for each further one, up to `longest_pause`.
/// The second half of it is multiplied by `draw` (0 to 1), so that jobs that failed together do not run together again.
pub(super) fn pause(settings: &Settings, attempt: u32, draw: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let whole = settings.first_pause.saturating_mul(doubled).min(settings.longest_pause.get());
    whole / 2 + (whole / 2).mul_f64(draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_the_longest_one_and_half_of_it_is_random() {
        let settings = Settings::default();
        let milliseconds = |attempt, draw| pause(&settings, attempt, draw).as_millis();
        assert_eq!([1, 2, 3, 10].map(|attempt| milliseconds(attempt, 1.0)), [5_000, 10_000, 20_000, 2_560_000]);
        assert_eq!([1, 2, 3, 10].map(|attempt| milliseconds(attempt, 0.0)), [2_500, 5_000, 10_000, 1_280_000]);
        assert_eq!([11, 12, 40, u32::MAX].map(|attempt| milliseconds(attempt, 1.0)), [3_600_000; 4]);
    }

    #[test]
    fn all_attempts_together_bridge_two_hours() {
        let settings = Settings::default();
        let all: f64 = (1..settings.max_attempts).map(|attempt| pause(&settings, attempt, 0.0).as_secs_f64()).sum();
        assert!((1.2..3.0).contains(&(all / 3600.0)), "{all} s");
    }
}
