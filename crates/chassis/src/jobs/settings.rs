//! Settings of the jobs; an app embeds them.
//!
//! Next: [`super::backoff`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Duration, SettingError, SettingErrors};

/// Settings of the jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether this replica runs jobs and makes those of schedules; where other replicas do, it only adds jobs.
    pub run: bool,
    /// How many jobs this replica runs at once.
    pub concurrency: u32,
    /// How long a job belongs to a replica that gives no sign of life; then another runs it. It is extended while the job runs.
    pub lease: Duration,
    /// How often an idle replica looks for jobs, with a jitter of ±25 %.
    pub poll: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Maximum number of attempts, unless a job has its own; then it is dead.
    pub max_attempts: u32,
    /// The pause before the second attempt; it doubles for each further one, and up to half of it is random.
    pub first_pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// How long a job with a key is kept when it is done, so that no second one is made.
    pub keep_done: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run: true,
            // 4: a quarter of the default pool, so that requests keep the rest.
            concurrency: 4,
            // 60 s: longer than the failover of a managed Postgres, in which no lease is extended.
            lease: Duration::from_secs(60),
            // 1 s: one indexed query a second for each idle replica.
            poll: Duration::from_secs(1),
            timeout: Duration::from_secs(300),
            // 12: with the pauses below, the last attempt is one to two and a half hours after the first.
            max_attempts: 12,
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(3600),
            // A day: longer than callers send an event again.
            keep_done: Duration::from_secs(24 * 3600),
        }
    }
}

/// 1,000: each job in flight may need a connection, and Postgres has some hundreds.
const MOST_AT_ONCE: u32 = 1000;
/// 1 s: a lease is extended three times in its course, and a busy machine must not lose it.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

impl Settings {
    /// Validates beyond the types; `key` is the path of these settings, such as `jobs` of `app.jobs`.
    pub fn check(&self, key: &str, errors: &mut SettingErrors) {
        let mut require = |holds: bool, name: &str, expected: &str| {
            if !holds {
                errors.push(SettingError::new(format!("{key}.{name}"), expected));
            }
        };
        let at_once = (1..=MOST_AT_ONCE).contains(&self.concurrency);
        require(at_once, "concurrency", &format!("expected 1 to {MOST_AT_ONCE} jobs"));
        require(self.lease >= SHORTEST_LEASE, "lease", "expected at least 1s");
        require(!self.poll.is_zero(), "poll", "must be above zero");
        require(!self.timeout.is_zero(), "timeout", "must be above zero");
        // Postgres's integer.
        require((1..=i32::MAX as u32).contains(&self.max_attempts), "max_attempts", "must be above zero");
        require(!self.first_pause.is_zero(), "first_pause", "must be above zero");
        if self.first_pause > self.longest_pause {
            let keys = ["first_pause", "longest_pause"].map(|name| format!("{key}.{name}"));
            errors.push(SettingError::between(keys, "first_pause must not be longer than longest_pause"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(settings: &Settings) -> Vec<String> {
        let mut errors = SettingErrors::default();
        settings.check("jobs", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_valid_and_each_wrong_value_is_named() {
        assert_eq!(errors(&Settings::default()), [""; 0]);
        let zero = Duration::default();
        for (settings, key) in [
            (Settings { concurrency: 0, ..Settings::default() }, "jobs.concurrency"),
            (Settings { concurrency: 1001, ..Settings::default() }, "jobs.concurrency"),
            (Settings { lease: Duration::from_millis(999), ..Settings::default() }, "jobs.lease"),
            (Settings { poll: zero, ..Settings::default() }, "jobs.poll"),
            (Settings { timeout: zero, ..Settings::default() }, "jobs.timeout"),
            (Settings { max_attempts: 0, ..Settings::default() }, "jobs.max_attempts"),
            (Settings { max_attempts: u32::MAX, ..Settings::default() }, "jobs.max_attempts"),
            (Settings { first_pause: zero, ..Settings::default() }, "jobs.first_pause"),
            (Settings { longest_pause: zero, ..Settings::default() }, "jobs.longest_pause"),
        ] {
            let errors = errors(&settings);
            assert!(errors.len() == 1 && errors[0].contains(key), "{key}: {errors:?}");
        }
    }
}
