//! CPU and memory that the process may use: read at the start, and again while it runs.
//!
//! Kubernetes resizes pods in place (stable since 1.35, KEP-1287), and systemd services: the kernel sends no
//! event of it. A few small files of the kernel, read every two seconds, cost next to nothing.
//!
//! Next: [`super::cgroup`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{Gauge, Registry};

use super::{
    cgroup::{self, Limits},
    cpu,
};

/// CPU and memory that the process may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// CPUs: a fraction where a quota says so, else those of the affinity mask.
    pub(crate) cpus: f64,
    /// Bytes; none where there is no limit.
    pub(crate) memory: Option<u64>,
}

impl Allowance {
    /// Threads that use all of the CPU: a fraction of one needs a whole thread, as Go's GOMAXPROCS has it since 1.25.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of CPUs")]
    pub(crate) fn threads(&self) -> usize {
        (self.cpus.ceil() as usize).max(1)
    }
}

/// The quota, but no more than there are CPUs.
fn cpus(online: usize, quota: Option<f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of CPUs")]
    let online = online as f64;
    quota.map_or(online, |quota| quota.min(online))
}

/// The process's allowance as it was last read, with its metrics; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Resources(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    cpus: Gauge,
    memory: Gauge,
}

#[derive(Debug)]
struct State {
    allowance: Allowance,
    /// What could not be read the last time: logged once.
    failures: Vec<String>,
}

impl Resources {
    /// Reads them; what cannot be read is no limit.
    pub(crate) fn read() -> Self {
        let gauge = |name: &str, help: &str| Gauge::new(name, help).expect("a valid metric");
        let resources = Self(Arc::new(Inner {
            state: Mutex::new(State {
                allowance: Allowance { cpus: cpus(cpu::online(), None), memory: None },
                failures: Vec::new(),
            }),
            cpus: gauge("replica_cpu_limit_cores", "CPUs that the replica may use: its quota, else those of its mask."),
            memory: gauge("replica_memory_limit_bytes", "Memory limit of the replica's control groups; 0 without one."),
        }));
        resources.read_again();
        resources
    }

    /// Exports them.
    pub(crate) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.0.cpus.clone()))?;
        registry.register(Box::new(self.0.memory.clone()))
    }

    pub(crate) fn get(&self) -> Allowance {
        self.state().allowance
    }

    /// Until it is read again.
    #[cfg(test)]
    pub(crate) fn pretend(&self, allowance: Allowance) {
        self.state().allowance = allowance;
    }

    /// Reads them again. Returns the new allowance if it has changed; what cannot be read stays as it was.
    pub(crate) fn read_again(&self) -> Option<Allowance> {
        self.take(cpu::online(), cgroup::limits())
    }

    fn take(&self, online: usize, limits: Limits) -> Option<Allowance> {
        let mut state = self.state();
        let failures = [limits.cpus.as_ref().err(), limits.memory.as_ref().err()].into_iter().flatten();
        state.note(failures.cloned().collect());
        let before = state.allowance;
        let allowance = Allowance {
            cpus: limits.cpus.map_or(before.cpus, |quota| cpus(online, quota)),
            memory: limits.memory.unwrap_or(before.memory),
        };
        state.allowance = allowance;
        self.0.cpus.set(allowance.cpus);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 53 bits are 9 PB")]
        self.0.memory.set(allowance.memory.unwrap_or_default() as f64);
        (before != allowance).then_some(allowance)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, failures: Vec<String>) {
        for failure in failures.iter().filter(|failure| !self.failures.contains(failure)) {
            tracing::warn!("a limit of CPU or memory cannot be read; the last one stays in use: {failure}");
        }
        self.failures = failures;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(quota: Option<f64>, memory: Option<u64>) -> Limits {
        Limits { cpus: Ok(quota), memory: Ok(memory) }
    }

    #[test]
    fn a_fraction_of_a_cpu_needs_a_thread() {
        let threads = |quota| Allowance { cpus: cpus(8, quota), memory: None }.threads();
        let wanted = [(Some(0.25), 1), (Some(1.0), 1), (Some(1.5), 2), (Some(2.0), 2), (Some(64.0), 8), (None, 8)];
        for (quota, wanted) in wanted {
            assert_eq!(threads(quota), wanted, "{quota:?}");
        }
    }

    #[test]
    fn a_change_is_told_once_and_shown() {
        let resources = Resources::read();
        let half = Allowance { cpus: 0.5, memory: Some(64 << 20) };
        assert_eq!(resources.take(2, limits(Some(0.5), Some(64 << 20))), Some(half));
        assert_eq!(resources.take(2, limits(Some(0.5), Some(64 << 20))), None);
        assert_eq!(resources.get(), half);
        assert_eq!((resources.0.cpus.get(), resources.0.memory.get()), (0.5, 67_108_864.0));
        assert_eq!(resources.take(2, limits(None, None)), Some(Allowance { cpus: 2.0, memory: None }));
        assert_eq!(resources.0.memory.get().to_bits(), 0.0_f64.to_bits(), "no limit");
    }

    #[test]
    fn a_limit_that_cannot_be_read_stays_and_the_other_follows() {
        let resources = Resources::read();
        resources.take(2, limits(Some(0.5), Some(64 << 20)));
        let unreadable = "cpu.max: no such device".to_owned();
        let allowance = Allowance { cpus: 0.5, memory: Some(32 << 20) };
        assert_eq!(
            resources.take(2, Limits { cpus: Err(unreadable.clone()), memory: Ok(Some(32 << 20)) }),
            Some(allowance)
        );
        assert_eq!(resources.take(2, Limits { cpus: Err(unreadable.clone()), memory: Err(unreadable) }), None);
        assert_eq!(resources.get(), allowance);
    }
}
