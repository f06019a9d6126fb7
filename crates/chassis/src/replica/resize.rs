//! What was derived from CPU and memory at the start follows them while the replica runs.
//!
//! A number that a setting names stays. The I/O runtime keeps its threads, as tokio cannot change them: connections and
//! their timers live there. Memory that is in use when a limit falls is given back as requests end.
//!
//! Next: [`super::life`], which reads again on SIGHUP.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use crate::{
    config::Settings,
    connection::{Connections, Limits},
    overload::Overload,
    process::{Allowance, Resources},
    runtime::{self, WorkRuntime},
    values::Auto,
};

/// 2 s, as for files of settings: a kubelet takes longer to resize a pod.
const PERIOD: Duration = Duration::from_secs(2);

/// What follows CPU and memory.
pub(super) struct Resize {
    runtime: runtime::Settings,
    max_connections: Auto<usize>,
    resources: Resources,
    parts: Parts,
    asked: Notify,
}

/// The parts of a replica that have a size.
pub(super) struct Parts {
    pub(super) work: WorkRuntime,
    pub(super) overload: Overload,
    pub(super) limits: Arc<Limits>,
    pub(super) connections: Arc<Connections>,
}

impl Resize {
    pub(super) fn new<A>(settings: &Settings<A>, resources: &Resources, parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            runtime: settings.runtime.clone(),
            max_connections: settings.server.max_connections,
            resources: resources.clone(),
            parts,
            asked: Notify::new(),
        })
    }

    /// Reads CPU and memory every few seconds, and when asked to; ends with the runtime.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.asked.notified() => {}
            }
            if let Some(allowance) = self.resources.read_again() {
                self.apply(allowance);
            }
        }
    }

    /// Asks for a reading at once.
    pub(super) fn read_again(&self) {
        self.asked.notify_one();
    }

    fn apply(&self, allowance: Allowance) {
        let Parts { work, overload, limits, connections } = &self.parts;
        let work_threads = work.resize(self.runtime.work_threads(allowance));
        overload.set_work_threads(work_threads);
        limits.set_memory(allowance.memory);
        if self.max_connections == Auto::Auto {
            connections.resize(runtime::max_connections(Auto::Auto, allowance.memory));
        }
        tracing::info!(
            cpus = allowance.cpus,
            memory_limit = allowance.memory,
            work_threads,
            max_connections = connections.max(),
            "CPU or memory limit changed"
        );
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use prometheus::Registry;
    use tokio::{runtime::Builder, time::Instant};

    use super::*;
    use crate::{
        connection::{self, Rules},
        lifecycle::Lifecycle,
        telemetry,
        values::Size,
    };

    const LARGE: Allowance = Allowance { cpus: 4.0, memory: Some(1 << 30) };
    const SMALL: Allowance = Allowance { cpus: 0.5, memory: Some(64 << 20) };

    fn resize(settings: &Settings<()>) -> (Arc<Resize>, Registry) {
        let build = |threads| Builder::new_multi_thread().worker_threads(threads).build();
        let registry = Registry::new();
        let in_force = Arc::new(ArcSwap::from_pointee(settings.server.connection()));
        let parts = Parts {
            work: WorkRuntime::start(1, Box::new(build)).expect("a runtime"),
            overload: Overload::new(&settings.overload, 1, &registry),
            limits: Limits::new(in_force, Lifecycle::new(None)),
            connections: Connections::new(16, Rules::default(), connection::Metrics::new(None)),
        };
        (Resize::new(settings, &Resources::read(), parts), registry)
    }

    /// After `allowance`: threads, limit of the pool `work`, bytes of responses, and connections.
    fn sizes((resize, registry): &(Arc<Resize>, Registry), allowance: Allowance) -> (usize, usize, usize, usize) {
        resize.apply(allowance);
        let Parts { work, limits, connections, .. } = &resize.parts;
        let metrics = String::from_utf8(telemetry::render(registry)).expect("a text");
        let limit = metrics.lines().find_map(|line| line.strip_prefix("overload_limit{pool=\"work\"} "));
        let limit = limit.expect("the pool").parse().expect("a number");
        (work.threads(), limit, limits.held.most(), connections.max())
    }

    #[tokio::test]
    async fn what_is_automatic_follows() {
        let resize = resize(&Settings::default());
        let files = runtime::max_connections(Auto::Auto, None);
        let large = (4, 48, 128 << 20, files.min(6144));
        assert_eq!(sizes(&resize, LARGE), large);
        assert_eq!(sizes(&resize, SMALL), (1, 12, 8 << 20, files.min(384)));
        assert_eq!(sizes(&resize, LARGE), large);
        let unlimited = Allowance { memory: None, ..SMALL };
        assert_eq!(sizes(&resize, unlimited), (1, 12, 256 << 20, files));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_at_once_where_asked_and_within_two_seconds_otherwise() {
        let (resize, _registry) = resize(&Settings::default());
        let (begun, real) = (Instant::now(), resize.resources.get());
        let other = Allowance { cpus: real.cpus + 1.0, ..real };
        let seen = async || {
            while resize.resources.get() != real {
                tokio::task::yield_now().await
            }
        };
        tokio::spawn(Arc::clone(&resize).run());
        tokio::task::yield_now().await;
        resize.resources.pretend(other);
        resize.read_again();
        seen().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        resize.resources.pretend(other);
        tokio::time::sleep(PERIOD).await;
        seen().await;
        assert_eq!(begun.elapsed(), PERIOD);
    }

    #[tokio::test]
    async fn what_a_setting_names_stays() {
        let mut settings = Settings::<()>::default();
        settings.runtime.work_threads = Auto::Value(1);
        settings.overload.work_max_in_flight = Auto::Value(7);
        settings.server.max_response_memory = Size::bytes(1000);
        settings.server.max_connections = Auto::Value(16);
        let resize = resize(&settings);
        for allowance in [LARGE, SMALL] {
            assert_eq!(sizes(&resize, allowance), (1, 7, 1000, 16));
        }
    }
}
