//! Detects changes of files that the process has read: settings, certificates.
//!
//! By polling their content: inotify watches an inode, and Kubernetes swaps a `..data` symlink above it, editors
//! rename a new file over the old one, and network mounts send no events at all. A few small files read every two
//! seconds cost next to nothing, and only the content matters.
//!
//! Next: [`crate::config`], which asks for them.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, task, time};

/// 2 s: far below the minute that a kubelet takes to project a changed `ConfigMap`.
const PERIOD: Duration = Duration::from_secs(2);

/// Files, and what was last seen in them.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    paths: Vec<PathBuf>,
    seen: u64,
}

impl Watcher {
    /// Takes the content of `paths` as known; made before the settings are read, it misses no change.
    #[must_use]
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = digest(&paths);
        Self { paths, seen }
    }

    /// Whether the content has changed since the last call. Reads the files.
    pub(crate) fn changed(&mut self) -> bool {
        let now = digest(&self.paths);
        now != std::mem::replace(&mut self.seen, now)
    }

    /// Signals `on_change` each time the content has changed; never returns. The same content is reported once, valid or
    /// not. A change that is undone between two polls is not seen.
    pub(crate) async fn run(mut self, on_change: Arc<Notify>) {
        let mut ticks = time::interval(PERIOD);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A hanging mount must not block an I/O worker.
            let mut watcher = self.clone();
            let Ok((changed, watcher)) = task::spawn_blocking(move || (watcher.changed(), watcher)).await else {
                return;
            };
            self = watcher;
            if changed {
                on_change.notify_one();
            }
        }
    }
}

/// An unreadable file counts as content too: the reason.
fn digest(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        fs::read(path).map_err(|error: io::Error| error.kind()).hash(&mut hasher);
    }
    hasher.finish()
}
