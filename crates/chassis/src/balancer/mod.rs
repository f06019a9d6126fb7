//! What responses tell a load balancer: how full this replica is, and that it is about to go.
//!
//! ```text
//! utilization   how full, and how much it answers: measured once a second
//! report        the same in a header of ORCA
//! ```
//!
//! Only to peers in `server.trusted_peers`, and only where a setting asks for it. A header is made once a second, not for
//! each response.
//!
//! Next: [`utilization`].

mod report;
mod utilization;

pub(crate) use report::LoadReport;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderMap, HeaderName, HeaderValue};
use prometheus::{Gauge, Registry};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::utilization::{Meter, Sample};
use crate::{
    overload::Overload,
    process::{Resources, cpu},
};

/// The part of `server.*` for load balancers; [`crate::server::Settings`] has its keys and their meaning.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) load_report: LoadReport,
    pub(crate) immediate_health_check_fail: bool,
}

/// 1 s: Envoy's interval between two updates of its weights.
const INTERVAL: Duration = Duration::from_secs(1);

/// Envoy takes a host out at the first response that has it, whatever the value, where active health checks are on.
const FAILS: HeaderName = HeaderName::from_static("x-envoy-immediate-health-check-fail");

/// What is told at present, as flags: responses look at one number.
const REPORTS: u8 = 1;
const IS_DRAINING: u8 = 2;

/// What responses tell; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Balancer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<ArcSwap<Settings>>,
    told: AtomicU8,
    report: ArcSwapOption<(HeaderName, HeaderValue)>,
    utilization: Gauge,
}

/// Completed requests since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) completed: u64,
    /// Those with a 5xx or 429: refused, or not served.
    pub(crate) failed: u64,
}

impl Balancer {
    /// Registers the gauge; nothing is measured before [`run`](Self::run).
    pub(crate) fn new(settings: Arc<ArcSwap<Settings>>, registry: &Registry) -> Self {
        let help = "How full the replica is, 0 to 1: the larger of its CPU use and the saturation of its fullest pool.";
        let utilization = Gauge::new("replica_utilization_ratio", help).expect("a valid metric");
        registry.register(Box::new(utilization.clone())).expect("registered once");
        let told = AtomicU8::new(0);
        Self(Arc::new(Inner { settings, told, report: ArcSwapOption::empty(), utilization }))
    }

    /// How full the replica is, 0 to 1.
    pub(crate) fn utilization(&self) -> f64 {
        self.0.utilization.get()
    }

    /// Adds to the headers of a response to a trusted peer.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let told = self.0.told.load(Relaxed);
        if told != 0 {
            self.tell_some(told, headers);
        }
    }

    fn tell_some(&self, told: u8, headers: &mut HeaderMap) {
        if told & IS_DRAINING != 0 {
            headers.insert(FAILS, HeaderValue::from_static("true"));
        }
        if told & REPORTS != 0
            && let Some(report) = &*self.0.report.load()
        {
            headers.insert(report.0.clone(), report.1.clone());
        }
    }

    /// Measures until the runtime ends. `counts`: what has been answered so far.
    pub(crate) async fn run(
        self,
        resources: Resources,
        overload: Overload,
        drain: CancellationToken,
        counts: impl Fn() -> Counts,
    ) {
        let sample = || Sample { at: Instant::now(), cpu: cpu::used(), counts: counts() };
        let mut meter = Meter::new(sample());
        let mut is_draining = false;
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let load = meter.measure(sample(), resources.get().cpus, overload.saturation());
                    self.0.utilization.set(load.utilization);
                    let report = self.0.settings.load().load_report.header(&load);
                    self.0.report.store(report.map(Arc::new));
                }
                () = drain.cancelled(), if !is_draining => is_draining = true,
            }
            self.0.told.store(self.flags(is_draining), Relaxed);
        }
    }

    fn flags(&self, is_draining: bool) -> u8 {
        let settings = self.0.settings.load();
        let reports = if self.0.report.load().is_some() { REPORTS } else { 0 };
        let fails = if is_draining && settings.immediate_health_check_fail { IS_DRAINING } else { 0 };
        reports | fails
    }
}
