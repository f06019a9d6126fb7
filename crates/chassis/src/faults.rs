//! Faults for drills: latency, errors, broken connections and failing probes, on purpose and for a while.
//!
//! Off in every default. Rules come by `PUT /faults` on the admin listener, where `admin.mutable` allows it, and
//! expire; the settings only know drills of the start-up.
//!
//! Next: [`crate::admin`], which sets them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time,
};

use arc_swap::ArcSwap;
use axum::{
    Extension,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{peer::Abort, values::Duration};

/// Settings `faults.*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long to stay unready after the start, for rollout drills.
    pub unready_for: Duration,
    /// How long after the start `/livez` begins to fail, for restart drills.
    pub fail_liveness_after: Option<Duration>,
}

/// A rule for some share of a route's requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// A route's template, or `*` for all.
    #[serde(default = "every_route")]
    pub route: String,
    /// Share of the requests that it affects, 0 to 1.
    #[serde(default = "always")]
    pub ratio: f64,
    /// Waits this long first.
    #[serde(default)]
    pub latency: Duration,
    /// Answers this status (400 to 599) instead of the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Breaks the connection instead of answering.
    #[serde(default)]
    pub abort: bool,
    /// How long the rule is active; at most an hour.
    pub expires_in: Duration,
}

fn every_route() -> String {
    "*".into()
}

const fn always() -> f64 {
    1.0
}

/// What `GET` and `PUT /faults` carry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// Rules; the first that matches a request decides.
    pub rules: Vec<Rule>,
    /// `/readyz` fails for this long.
    pub unready_for: Duration,
}

/// A forgotten fault must not long outlive the drill.
const LONGEST: time::Duration = time::Duration::from_hours(1);

/// 64: more than a drill needs. Every request checks all of them.
const MAX_RULES: usize = 64;

impl Plan {
    /// Everything that is wrong with the plan.
    ///
    /// # Errors
    /// One line for each fault, with its place in the plan.
    pub(crate) fn validate(&self) -> Result<(), Vec<String>> {
        if self.rules.len() > MAX_RULES {
            return Err(vec![format!("rules: expected at most {MAX_RULES}")]);
        }
        let mut wrong = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let mut reject =
                |field: &str, expected: &str| wrong.push(format!("rules[{at}].{field}: expected {expected}"));
            if !(0.0..=1.0).contains(&rule.ratio) {
                reject("ratio", "a number from 0 to 1");
            }
            if rule.status.is_some_and(|status| !(400..600).contains(&status)) {
                reject("status", "a status from 400 to 599");
            }
            if rule.expires_in.is_zero() || rule.expires_in.get() > LONGEST {
                reject("expires_in", "a duration of at most 1h");
            }
        }
        if self.unready_for.get() > LONGEST {
            wrong.push("unready_for: expected a duration of at most 1h".into());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// The active faults; a cheap handle. Without rules it costs one atomic load per request.
#[derive(Clone, Debug)]
pub(crate) struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    drill: ArcSwap<Settings>,
    any: AtomicBool,
    plan: ArcSwap<(Instant, Plan)>,
}

/// The fault of one request.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    latency: time::Duration,
    status: Option<StatusCode>,
    abort: bool,
}

impl Faults {
    /// No rules; the drills of the settings count from now.
    #[must_use]
    pub(crate) fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        Self(Arc::new(Inner {
            started: now,
            drill: ArcSwap::from_pointee(settings.clone()),
            any: AtomicBool::new(false),
            plan: ArcSwap::from_pointee((now, Plan::default())),
        }))
    }

    /// Applies new settings.
    pub(crate) fn reload(&self, settings: &Settings) {
        self.0.drill.store(Arc::new(settings.clone()));
    }

    /// The active plan.
    #[must_use]
    pub(crate) fn plan(&self) -> Plan {
        self.0.plan.load().1.clone()
    }

    /// Replaces the plan; its expiries count from now.
    pub(crate) fn set(&self, plan: Plan) {
        let any = !plan.rules.is_empty();
        self.0.plan.store(Arc::new((Instant::now(), plan)));
        self.0.any.store(any, Relaxed);
    }

    /// Whether a drill keeps the replica unready.
    #[must_use]
    pub(crate) fn is_unready(&self) -> bool {
        let plan = self.0.plan.load();
        self.0.started.elapsed() < self.0.drill.load().unready_for.get() || plan.0.elapsed() < plan.1.unready_for.get()
    }

    /// Whether a drill fails the liveness probe.
    #[must_use]
    pub(crate) fn is_dead(&self) -> bool {
        self.0.drill.load().fail_liveness_after.is_some_and(|after| self.0.started.elapsed() >= after.get())
    }

    /// The fault for this request of `route`, if any.
    pub(crate) fn draw(&self, route: &str) -> Option<Fault> {
        if !self.0.any.load(Relaxed) {
            return None;
        }
        let plan = self.0.plan.load();
        let holds =
            |rule: &&Rule| plan.0.elapsed() < rule.expires_in.get() && (rule.route == "*" || rule.route == route);
        let rule = plan.1.rules.iter().find(holds)?;
        (fastrand::f64() < rule.ratio).then(|| Fault {
            latency: rule.latency.get(),
            status: rule.status.and_then(|status| StatusCode::from_u16(status).ok()),
            abort: rule.abort,
        })
    }
}

impl Fault {
    /// Waits, then responds instead of the handler, or lets it run.
    pub(crate) async fn strike(self) -> Result<(), Response> {
        tokio::time::sleep(self.latency).await;
        if self.abort {
            return Err((StatusCode::INTERNAL_SERVER_ERROR, Extension(Abort)).into_response());
        }
        match self.status {
            Some(status) => Err(status.into_response()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Plan {
        serde_json::from_str(json).expect("a plan")
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_strikes_its_route_until_it_expires() {
        let faults = Faults::new(&Settings::default());
        assert!(faults.draw("/a").is_none());
        faults.set(plan(r#"{"rules": [{"route": "/a", "status": 503, "expires_in": "1m"}]}"#));
        assert!(faults.draw("/b").is_none());
        let response = faults.draw("/a").expect("strikes").strike().await.expect_err("answers");
        assert_eq!(response.status(), 503);
        tokio::time::advance(time::Duration::from_secs(61)).await;
        assert!(faults.draw("/a").is_none());
    }

    #[test]
    fn a_wrong_plan_is_refused_with_every_reason() {
        let wrong = plan(r#"{"rules": [{"ratio": 2, "status": 200, "expires_in": "2h"}]}"#);
        assert_eq!(wrong.validate().expect_err("wrong").len(), 3);
        assert!(serde_json::from_str::<Plan>(r#"{"rulez": []}"#).is_err());
        let rules = vec![r#"{"expires_in": "1m"}"#; MAX_RULES + 1].join(",");
        assert_eq!(plan(&format!(r#"{{"rules": [{rules}]}}"#)).validate().expect_err("too many").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn drills_of_the_settings_count_from_the_start() {
        let settings =
            Settings { unready_for: Duration::from_secs(5), fail_liveness_after: Some(Duration::from_secs(10)) };
        let faults = Faults::new(&settings);
        assert!(faults.is_unready() && !faults.is_dead());
        tokio::time::advance(time::Duration::from_secs(10)).await;
        assert!(!faults.is_unready() && faults.is_dead());
    }
}
