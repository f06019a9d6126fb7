//! The metrics that every service has, and their text.
//!
//! Next: [`super::resource`].

use std::sync::Mutex;

use prometheus::{
    Counter, CounterVec, Encoder, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    process_collector::ProcessCollector,
    proto::MetricFamily,
};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::Identity;

/// The registry, the counters of lost telemetry, and the runtimes to watch.
pub(super) struct Metrics {
    pub(super) registry: Registry,
    pub(super) runtimes: Runtimes,
    dropped: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(identity: &Identity) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let runtimes = Runtimes::new()?;
        registry.register(Box::new(runtimes.clone()))?;
        let help = "Log lines, log records and spans dropped: buffer full, output broken, export failed or rejected.";
        let dropped = IntCounterVec::new(Opts::new("telemetry_dropped_total", help), &["signal", "reason"])?;
        registry.register(Box::new(dropped.clone()))?;
        registry.register(Box::new(build_info(identity)?))?;
        let metrics = Self { registry, runtimes, dropped };
        // All exist from the start: a rate over a series that appears with its first loss misses that loss.
        metrics.losses("logs");
        metrics.losses("traces");
        metrics.broken_output();
        Ok(metrics)
    }

    /// What the queue and the exporter of `signal` lose.
    pub(super) fn losses(&self, signal: &str) -> Losses {
        let of = |reason: &str| self.dropped.with_label_values(&[signal, reason]);
        Losses { full: of("full"), export: of("export"), rejected: of("rejected") }
    }

    /// Lines that the output did not take.
    pub(super) fn broken_output(&self) -> IntCounter {
        self.dropped.with_label_values(&["logs", "output"])
    }
}

/// `telemetry_dropped_total` of one signal, by its reasons.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    /// No room in the buffer or in the queue.
    pub(super) full: IntCounter,
    /// The collector was not reached, or did not take the batch.
    pub(super) export: IntCounter,
    /// The collector took the batch without these.
    pub(super) rejected: IntCounter,
}

/// Everything in `registry` as Prometheus text (version 0.0.4).
#[must_use]
pub(crate) fn render(registry: &Registry) -> Vec<u8> {
    let mut text = Vec::with_capacity(16 << 10);
    // It fails on families without a metric, which a registry does not return, and on a failing writer.
    let _ = TextEncoder::new().encode(&registry.gather(), &mut text);
    text
}

fn build_info(identity: &Identity) -> Result<IntGaugeVec, prometheus::Error> {
    let options = Opts::new("build_info", "Build information; always 1.");
    let info = IntGaugeVec::new(options, &["version", "commit", "template_commit", "chassis_version"])?;
    let Identity { version, commit, template_commit, .. } = identity;
    info.with_label_values(&[version, commit, template_commit, env!("CARGO_PKG_VERSION")]).set(1);
    Ok(info)
}

/// Collects the metrics of tokio runtimes by name; cheap to clone.
#[derive(Clone)]
pub(super) struct Runtimes(std::sync::Arc<Watched>);

struct Watched {
    watched: Mutex<Vec<(&'static str, Handles)>>,
    workers: GaugeVec,
    alive_tasks: GaugeVec,
    queue_depth: GaugeVec,
    busy_seconds: CounterVec,
}

/// The parts of a runtime; the first takes what comes, the others end what they have.
type Handles = Box<dyn Fn() -> Vec<Handle> + Send + Sync>;

impl Runtimes {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name, help| GaugeVec::new(Opts::new(name, help), &["runtime"]);
        let busy = Opts::new("tokio_workers_busy_seconds_total", "Total busy time of the runtime's workers.");
        Ok(Self(std::sync::Arc::new(Watched {
            watched: Mutex::default(),
            workers: gauge("tokio_workers", "Worker threads of the runtime.")?,
            alive_tasks: gauge("tokio_alive_tasks", "Tasks of the runtime that have not finished.")?,
            queue_depth: gauge("tokio_global_queue_depth", "Tasks waiting in the runtime's global queue.")?,
            busy_seconds: CounterVec::new(busy, &["runtime"])?,
        })))
    }

    pub(super) fn watch(&self, name: &'static str, handles: impl Fn() -> Vec<Handle> + Send + Sync + 'static) {
        self.0.watched.lock().expect("no holder panics").push((name, Box::new(handles)));
    }
}

impl Collector for Runtimes {
    fn desc(&self) -> Vec<&Desc> {
        let Watched { workers, alive_tasks, queue_depth, busy_seconds, .. } = &*self.0;
        [workers.desc(), alive_tasks.desc(), queue_depth.desc(), busy_seconds.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let state = &*self.0;
        // Held to the end: two scrapes at once must not add to one counter twice.
        let watched = state.watched.lock().expect("no holder panics");
        for (name, handles) in &*watched {
            let parts: Vec<_> = handles().iter().map(Handle::metrics).collect();
            let set = |gauge: &GaugeVec, value: usize| gauge.with_label_values(&[name]).set(float(value));
            set(&state.workers, parts.first().map_or(0, RuntimeMetrics::num_workers));
            set(&state.alive_tasks, parts.iter().map(RuntimeMetrics::num_alive_tasks).sum());
            set(&state.queue_depth, parts.iter().map(RuntimeMetrics::global_queue_depth).sum());
            raise(&state.busy_seconds.with_label_values(&[name]), parts.iter().map(busy_seconds).sum());
        }
        let Watched { workers, alive_tasks, queue_depth, busy_seconds, .. } = state;
        [workers.collect(), alive_tasks.collect(), queue_depth.collect(), busy_seconds.collect()].concat()
    }
}

fn busy_seconds(runtime: &RuntimeMetrics) -> f64 {
    (0..runtime.num_workers()).map(|at| runtime.worker_total_busy_duration(at).as_secs_f64()).sum()
}

/// Brings a counter up to `total`.
fn raise(counter: &Counter, total: f64) {
    counter.inc_by((total - counter.get()).max(0.0));
}

#[expect(clippy::cast_precision_loss, reason = "counts of tasks and threads lie far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::test::identity;

    #[tokio::test]
    async fn every_family_has_help_and_a_fitting_name() {
        let metrics = Metrics::new(&identity()).unwrap();
        metrics.runtimes.watch("io", || vec![Handle::current()]);
        metrics.runtimes.watch("work", || vec![Handle::current(), Handle::current()]);
        let families = metrics.registry.gather();
        for family in &families {
            assert!(!family.help().is_empty(), "{}", family.name());
            let counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
            assert_eq!(counter, family.name().ends_with("_total"), "{}", family.name());
        }
        let text = String::from_utf8(render(&metrics.registry)).unwrap();
        for line in [
            "telemetry_dropped_total{reason=\"full\",signal=\"logs\"} 0",
            "telemetry_dropped_total{reason=\"output\",signal=\"logs\"} 0",
            "telemetry_dropped_total{reason=\"export\",signal=\"traces\"} 0",
            "telemetry_dropped_total{reason=\"rejected\",signal=\"traces\"} 0",
            "build_info{chassis_version=",
            "tokio_workers{runtime=\"io\"} 1",
            "tokio_workers_busy_seconds_total{runtime=\"work\"}",
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.lines().filter(|line| !line.starts_with('#')).count() < 36);
    }
}
