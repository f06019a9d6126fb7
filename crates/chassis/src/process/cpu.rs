//! The CPUs that the process may run on, and the CPU time that it has used.
//!
//! Next: [`super::peak`].

use std::{thread::available_parallelism, time::Duration};

use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::resource::{UsageWho, getrusage},
    unistd::Pid,
};

/// CPU time of all threads since the start, user and system; zero where the system does not tell.
pub(crate) fn used() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let duration = |seconds: i64, microseconds: i64| {
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
            + Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
    };
    let (user, system) = (usage.user_time(), usage.system_time());
    duration(user.tv_sec(), user.tv_usec()) + duration(system.tv_sec(), system.tv_usec())
}

/// CPUs of the affinity mask, which a cpuset changes too; at least one. It says nothing of a quota.
pub(super) fn online() -> usize {
    let mask = sched_getaffinity(Pid::from_raw(0));
    let counted = mask.map(|mask| (0..CpuSet::count()).filter(|cpu| mask.is_set(*cpu).unwrap_or_default()).count());
    // More CPUs than the mask has room for: the standard library's answer, which is the quota's where that is lower.
    counted.ok().filter(|cpus| *cpus > 0).unwrap_or_else(|| available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let before = used();
        while used() == before {
            std::hint::spin_loop();
        }
        assert!(online() > 0);
    }
}
