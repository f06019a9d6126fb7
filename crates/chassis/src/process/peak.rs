//! Gives the memory of a peak back to the system.
//!
//! glibc keeps what 10,000 connections had for as long as the process lives, so that a node, or an autoscaler that follows
//! memory, sees a peak of last week. Once there is much more than before and the CPU is not needed, it is given back.
//!
//! Next: [`super::signals`].

use std::{fs, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Resources, cpu};

/// 5 s: a service keeps its memory through the gaps between two bursts.
const INTERVAL: Duration = Duration::from_secs(5);
/// 4 MiB: less is the ordinary back and forth of requests.
const WORTH: u64 = 4 << 20;
/// A third: while more of the CPU is in use, requests are not kept waiting for an allocation.
const BUSY: f64 = 1.0 / 3.0;
/// 10 s to 5 min: the pause behind an attempt doubles while attempts give nothing back, since what there is is in use.
/// It may be freed later, so there is a next one.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));

/// Watches the process for ever.
pub(crate) async fn watch(resources: Resources) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut least = resident();
    let mut before = (Instant::now(), cpu::used());
    let (mut pause, mut next) = (PAUSES.0, before.0);
    loop {
        ticks.tick().await;
        let now = (Instant::now(), cpu::used());
        let used = (now.1.saturating_sub(before.1)).as_secs_f64() / (now.0 - before.0).as_secs_f64();
        let is_busy = used >= BUSY * resources.get().cpus;
        before = now;
        let held = resident();
        if !is_busy && held > least + WORTH && now.0 >= next {
            // It takes some milliseconds, in which probes are answered too.
            let _ = tokio::task::spawn_blocking(heap::give_back).await;
            let is_worth_it = resident() + WORTH <= held;
            pause = if is_worth_it { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
            next = Instant::now() + pause;
        }
        least = least.min(resident());
    }
}

/// Bytes of the process in memory; zero where the system does not tell.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or_default()
        * nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, i64::unsigned_abs)
}
