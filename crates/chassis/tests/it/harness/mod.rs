//! What the tests drive the service with. It never retries and never skips: what is missing or late is a failure.

pub(crate) mod browser;
pub(crate) mod collector;
pub(crate) mod envoy;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod peers;
pub(crate) mod proxy;
pub(crate) mod rotel;
pub(crate) mod server;
pub(crate) mod tools;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whose turn it is: figures hold only while nobody else uses the cores.
static CORES: RwLock<()> = RwLock::const_new(());

/// Waits until no other test runs, and keeps it so.
pub(crate) async fn exclusive() -> RwLockWriteGuard<'static, ()> {
    CORES.write().await
}

/// For tests that mostly wait: any number of them at a time, but never beside an [`exclusive`] one.
pub(crate) async fn shared() -> RwLockReadGuard<'static, ()> {
    CORES.read().await
}

/// Polls `probe` until it gives something; fails with `what` after `bound`.
pub(crate) async fn eventually<T>(what: &str, bound: Duration, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(bound, probe).await.unwrap_or_else(|| panic!("not within {bound:?}: {what}"))
}

/// Polls `probe` every 5 ms until it gives something, or `bound` has passed.
pub(crate) async fn within<T>(bound: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(found) = probe().await {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the instant itself: for promises that are about a point in time.
pub(crate) async fn at(instant: Instant) {
    tokio::time::sleep_until(instant.into()).await;
}

/// A port that was free a moment ago, for programs that cannot tell which one they were given. Below the ports that
/// the kernel hands out to clients (32768 and up), so that no client takes it while its server restarts.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = process::id() * 64 % 10_000;
    (0..10_000)
        .map(|_| 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(local(*port)).is_ok())
        .expect("a free port between 20000 and 30000")
}

/// The sum over all label sets of the metric `name` in Prometheus text.
pub(crate) fn sum(text: &str, name: &str) -> f64 {
    text.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// `127.0.0.1` and `port`.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A number from the environment, for runs longer than the usual.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no whole number: {text}")))
}

/// A directory below `target/`, removed with its owner.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir_all(&path).expect("creating a scratch directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `content` to a file in it, and gives its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("writing into a scratch directory");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
