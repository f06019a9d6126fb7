//! How many threads and connections, and how much memory for responses: by the settings, or by CPU and memory.
//!
//! Next: [`work`].

mod work;

pub(crate) use work::WorkRuntime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    process::Allowance,
    values::{Auto, Check, SettingErrors},
};

/// Settings `runtime.*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Threads of the I/O runtime; `auto` is one for each CPU of the quota at the start, rounded up.
    pub worker_threads: Auto<usize>,
    /// Threads of the work runtime, for routes marked CPU-bound; `auto` is one for each CPU of the quota, rounded up, also when it changes.
    pub work_threads: Auto<usize>,
}

impl Settings {
    /// Threads of the I/O runtime.
    #[must_use]
    pub(crate) fn io_threads(&self, allowance: Allowance) -> usize {
        threads(self.worker_threads, allowance)
    }

    /// Threads of the work runtime.
    #[must_use]
    pub(crate) fn work_threads(&self, allowance: Allowance) -> usize {
        threads(self.work_threads, allowance)
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        // 1,024: more than any machine's CPUs; a typo would start that many threads.
        let sane = |threads: Auto<usize>| !matches!(threads, Auto::Value(threads) if threads > 1024);
        errors.require(sane(self.worker_threads), "worker_threads", "expected at most 1024");
        errors.require(sane(self.work_threads), "work_threads", "expected at most 1024");
    }
}

fn threads(setting: Auto<usize>, allowance: Allowance) -> usize {
    match setting {
        Auto::Value(threads) => threads,
        Auto::Auto => allowance.threads(),
    }
}

/// Descriptors that are not connections: listeners, logs, the admin listener, upstreams, the exporter.
const RESERVED_FILES: u64 = 64;
/// Memory of a connection that no process-wide limit covers: a head's buffer of 40 KiB, its task, and a part of
/// the first 64 KiB of a response. An idle one holds about 11 KiB.
const BYTES_PER_CONNECTION: u64 = 64 * 1024;
/// No replica needs more; beyond it, more replicas are cheaper than larger kernel tables.
const MOST_CONNECTIONS: u64 = 65_536;

/// 256 MiB: 256 slow readers of a MiB each.
const MOST_RESPONSE_MEMORY: u64 = 256 << 20;

/// How many connections the open-file limit and the memory limit allow, or the setting. Raises the soft file limit to
/// the hard one, and warns where the setting needs more files than that.
#[must_use]
pub(crate) fn max_connections(setting: Auto<usize>, memory: Option<u64>) -> usize {
    let files = raise_file_limit();
    match setting {
        Auto::Value(connections) => {
            if files.saturating_sub(RESERVED_FILES) < connections as u64 {
                tracing::warn!(connections, files, "server.max_connections exceeds the open-file limit");
            }
            connections
        }
        Auto::Auto => usize::try_from(most_connections(files, memory)).unwrap_or(usize::MAX),
    }
}

/// Default limit for response bytes buffered for slow readers: an eighth of the memory limit, and at most
/// [`MOST_RESPONSE_MEMORY`].
#[must_use]
pub(crate) fn response_memory(memory: Option<u64>) -> usize {
    let most = memory.map_or(MOST_RESPONSE_MEMORY, |bytes| MOST_RESPONSE_MEMORY.min(bytes / 8));
    usize::try_from(most).unwrap_or(usize::MAX)
}

fn most_connections(files: u64, memory: Option<u64>) -> u64 {
    let by_files = files.saturating_sub(RESERVED_FILES);
    // Half of the memory, less an eighth for responses that wait: the rest is the program, its requests and the
    // kernel's socket buffers.
    let by_memory = memory.map_or(MOST_CONNECTIONS, |bytes| (bytes / 2 - bytes / 8) / BYTES_PER_CONNECTION);
    by_files.min(by_memory).clamp(16, MOST_CONNECTIONS)
}

fn raise_file_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // 1,024: what POSIX systems grant where asking fails.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let wanted = hard.min(MOST_CONNECTIONS + RESERVED_FILES).max(soft);
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_the_tighter_limit() {
        assert_eq!(most_connections(1024, None), 960);
        assert_eq!(most_connections(1 << 20, Some(64 << 20)), 384);
        assert_eq!(most_connections(32, None), 16);
        assert_eq!(most_connections(u64::MAX, None), 65_536);
    }

    #[test]
    fn response_memory_follows_the_memory_limit() {
        assert_eq!(response_memory(Some(64 << 20)), 8 << 20);
        assert_eq!(response_memory(Some(64 << 30)), 256 << 20);
        assert_eq!(response_memory(None), 256 << 20);
    }

    #[test]
    fn a_number_of_threads_that_is_set_follows_nothing() {
        let settings = Settings { worker_threads: Auto::Value(3), work_threads: Auto::Auto };
        let allowance = Allowance { cpus: 1.5, memory: None };
        assert_eq!((settings.io_threads(allowance), settings.work_threads(allowance)), (3, 2));
    }
}
