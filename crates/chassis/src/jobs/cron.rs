//! Schedules: each of their instants becomes one job, made by the first replica that comes.
//!
//! The row of a schedule has its latest instant. A replica moves it forward in the statement that adds the job, so that
//! one of them succeeds. Postgres's clock has the last word, and an instant is never made before it has come: a replica
//! whose clock is ahead skips nothing.
//!
//! Next: [`super::metrics`].

use std::{
    str::FromStr,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use chrono::{DateTime, SecondsFormat, Utc};
use croner::Cron;
use tokio::time::timeout;

use super::{Inner, error::ScheduleError};
use crate::lifecycle::Drain;

/// 30 s: so much later at most a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// 100 ms: how late a run may begin where this clock is ahead of Postgres's.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

/// Instants that recur, in UTC.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// Five fields, `minute hour day month weekday`, or six with the seconds before them; weekdays are 0 to 7 from Sunday
    /// on, or names.
    ///
    /// # Errors
    /// When it is none, or never comes.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let schedule = Cron::from_str(text).map_err(|error| ScheduleError(error.to_string()))?;
        let never = |_| ScheduleError("it never comes".to_owned());
        schedule.find_next_occurrence(&DateTime::UNIX_EPOCH, false).map_err(never)?;
        Ok(Self(schedule))
    }

    /// The latest instant up to `now`; none before the first.
    fn latest(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_previous_occurrence(&now, true).ok()
    }

    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_next_occurrence(&now, false).ok()
    }
}

/// Makes jobs of the schedules until the drain begins.
pub(super) async fn run(jobs: Arc<Inner>, drain: Drain) -> sqlx::Result<()> {
    let mut plans = jobs.plans();
    for plan in &mut plans {
        plan.begin(&jobs).await?;
    }
    while !plans.is_empty() && !drain.is_draining() {
        let now = now();
        for plan in &mut plans {
            plan.make(&jobs, now).await?;
        }
        let pause = plans.iter().map(|plan| plan.pause(now)).min().unwrap_or(LONGEST_SLEEP);
        let _ = timeout(pause, drain.started()).await;
    }
    Ok(())
}

struct Plan {
    name: &'static str,
    schedule: Schedule,
    /// What some replica has made.
    made: DateTime<Utc>,
}

impl Inner {
    fn plans(&self) -> Vec<Plan> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let plan = |(name, schedule): (&'static str, Schedule)| Plan { name, schedule, made: DateTime::UNIX_EPOCH };
        kinds.iter().filter_map(|(name, kind)| Some((*name, kind.schedule.clone()?))).map(plan).collect()
    }
}

impl Plan {
    /// A schedule that is new, or another one now, has missed nothing yet.
    async fn begin(&mut self, jobs: &Inner) -> sqlx::Result<()> {
        let begin = "INSERT INTO chassis_jobs_cron AS known (name, schedule, last_run) VALUES ($1, $2, now())
            ON CONFLICT (name) DO UPDATE SET
                last_run = CASE WHEN known.schedule = excluded.schedule THEN known.last_run ELSE now() END,
                schedule = excluded.schedule
            RETURNING extract(epoch FROM last_run)::float8";
        let begin = sqlx::query_scalar(begin).bind(self.name).bind(self.schedule.0.pattern.to_string());
        let made: f64 = begin.fetch_one(&jobs.database).await?;
        #[expect(clippy::cast_possible_truncation, reason = "schedules have whole seconds")]
        let made = DateTime::from_timestamp(made.floor() as i64, 0);
        self.made = made.unwrap_or(DateTime::UNIX_EPOCH);
        Ok(())
    }

    /// Makes a job of the latest instant, unless another replica has: of several that were missed only this one runs.
    async fn make(&mut self, jobs: &Inner, now: DateTime<Utc>) -> sqlx::Result<()> {
        let Some(due) = self.schedule.latest(now).filter(|due| *due > self.made) else { return Ok(()) };
        let make = "WITH moved AS (
                UPDATE chassis_jobs_cron SET last_run = to_timestamp($2)
                WHERE name = $1 AND last_run < to_timestamp($2) AND to_timestamp($2) <= now() RETURNING name
            ), made AS (
                INSERT INTO chassis_jobs (kind, payload, key, run_at, max_attempts)
                SELECT name, 'null', $3, to_timestamp($2), $4 FROM moved
                ON CONFLICT (kind, key) WHERE key IS NOT NULL DO NOTHING
            )
            SELECT to_timestamp($2) <= now()";
        let key = format!("{}@{}", self.name, due.to_rfc3339_opts(SecondsFormat::Secs, true));
        let attempts = i32::try_from(jobs.settings.max_attempts).unwrap_or(i32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "seconds of the next 280 million years are exact")]
        let make = sqlx::query_scalar(make).bind(self.name).bind(due.timestamp() as f64).bind(key).bind(attempts);
        if make.fetch_one(&jobs.database).await? {
            self.made = due;
        }
        Ok(())
    }

    /// Until the next instant; shortly where one waits for Postgres's clock.
    fn pause(&self, now: DateTime<Utc>) -> Duration {
        if self.schedule.latest(now).is_some_and(|due| due > self.made) {
            return SHORTEST_SLEEP;
        }
        let left = self.schedule.next(now).map_or(LONGEST_SLEEP, |next| (next - now).to_std().unwrap_or_default());
        left.clamp(Duration::from_millis(1), LONGEST_SLEEP)
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(DateTime::UNIX_EPOCH, |since| {
        DateTime::from_timestamp(i64::try_from(since.as_secs()).unwrap_or_default(), since.subsec_nanos())
            .unwrap_or(DateTime::UNIX_EPOCH)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_schedule_knows_its_latest_and_its_next_instant() {
        let cases = [
            ("0 3 * * *", "2026-03-01T03:00:00Z", "2026-03-02T03:00:00Z"),
            ("*/15 * * * *", "2026-03-01T14:15:00Z", "2026-03-01T14:30:00Z"),
            ("0 0 * * MON", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("0 0 * * 1", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("30 * * * * *", "2026-03-01T14:21:30Z", "2026-03-01T14:22:30Z"),
            ("0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
        ];
        let now = at("2026-03-01T14:22:07.5Z");
        for (text, latest, next) in cases {
            let schedule = Schedule::parse(text).expect(text);
            assert_eq!((schedule.latest(now), schedule.next(now)), (Some(at(latest)), Some(at(next))), "{text}");
        }
    }

    #[test]
    fn the_instant_itself_is_the_latest() {
        let schedule = Schedule::parse("0 3 * * *").expect("a schedule");
        let three = at("2026-03-01T03:00:00Z");
        assert_eq!((schedule.latest(three), schedule.next(three)), (Some(three), Some(at("2026-03-02T03:00:00Z"))));
    }

    #[test]
    fn what_is_no_schedule_or_never_comes_is_refused() {
        for text in ["", "every day", "0 3 * *", "60 * * * *", "0 0 30 2 *", "0 0 0 0 0 0 0 0"] {
            let error = Schedule::parse(text).expect_err(text).to_string();
            assert!(error.starts_with("expected a schedule such as `0 3 * * *`: "), "{text}: {error}");
        }
    }
}
