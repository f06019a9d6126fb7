//! Uploads in progress: their number, their bytes in memory, and which one ends at a limit.
//!
//! A request that waits for its client occupies no place in a pool, so uploads have their own limits. At a limit the
//! one with the least progress ends with 408, and a new one never does: progress is the mean rate since the upload
//! began, and each begins with a credit.
//!
//! Bodies that arrived completely with their head are not uploads in progress.
//!
//! Next: [`super::body`], which feeds it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Context,
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::time::Instant;

use super::Settings;

/// 16 KiB: a new upload without data does not rank behind slow ones.
const CREDIT: u64 = 16 * 1024;

/// 2 s: the minimum age in the rate. So one that sends nothing has at most 8 KiB per second: however many
/// begin at once, a client of 10 KB/s stays ahead of them.
const YOUNG: Duration = Duration::from_secs(2);

/// The upload has ended: what its handler still holds is not counted.
const COMPLETE: u64 = u64::MAX;

/// The uploads of a replica; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Uploads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<ArcSwap<Settings>>,
    open: Mutex<Open>,
    /// Bytes in memory of the bodies that are incomplete.
    held: AtomicU64,
    count: IntGauge,
    bytes: IntGauge,
    shed: IntCounter,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    uploads: HashMap<u64, Arc<Progress>>,
    /// Those of them that are ending.
    leaving: usize,
}

/// One upload, as its body and the registry see it.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    received: AtomicU64,
    held: AtomicU64,
    is_shed: AtomicBool,
    waker: AtomicWaker,
}

impl Uploads {
    pub(super) fn new(settings: Arc<ArcSwap<Settings>>, registry: &Registry) -> Self {
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help).expect("a valid metric");
            registry.register(Box::new(gauge.clone())).expect("registered once");
            gauge
        };
        let count = gauge("http_server_uploads", "Uploads in progress: request bodies that are not complete.");
        let bytes = gauge("http_server_upload_bytes", "Bytes of uploads in progress held in memory.");
        let help = "Uploads ended with 408 at a limit, least progress first.";
        let shed = IntCounter::new("http_server_uploads_shed_total", help).expect("a valid metric");
        registry.register(Box::new(shed.clone())).expect("registered once");
        Self(Arc::new(Inner { settings, open: Mutex::default(), held: AtomicU64::new(0), count, bytes, shed }))
    }

    /// One more, which begins now.
    fn enter(&self) -> Upload {
        let progress = Arc::new(Progress {
            begun: Instant::now(),
            received: AtomicU64::new(0),
            held: AtomicU64::new(0),
            is_shed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let mut open = self.0.lock();
        open.next += 1;
        let id = open.next;
        open.uploads.insert(id, Arc::clone(&progress));
        self.0.count.inc();
        // More than one where a reload lowered the bound.
        while open.uploads.len() - open.leaving > self.0.settings.load().max_uploads {
            self.0.shed(&mut open, |upload| !std::ptr::eq(upload, &raw const *progress));
        }
        Upload { id, progress, uploads: self.clone() }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the upload with the least progress among those that are `wanted`.
    fn shed(&self, open: &mut Open, wanted: impl Fn(&Progress) -> bool) {
        let now = Instant::now();
        let there = open.uploads.values().filter(|upload| !upload.is_shed.load(Relaxed) && wanted(upload));
        let Some(last) =
            there.min_by(|one, other| one.rate(now).total_cmp(&other.rate(now)).then(one.begun.cmp(&other.begun)))
        else {
            return;
        };
        last.is_shed.store(true, SeqCst);
        last.waker.wake();
        open.leaving += 1;
        self.shed.inc();
    }

    /// More bytes are in memory; above the limit the slowest of those that hold more than their share ends.
    fn hold(&self, bytes: u64) {
        let held = self.held.fetch_add(bytes, Relaxed) + bytes;
        self.bytes.set(i64::try_from(held).unwrap_or(i64::MAX));
        if held > self.settings.load().max_upload_bytes.get() {
            let mut open = self.lock();
            // Bytes of ending uploads are being freed: they are no reason to end more.
            let staying = held.saturating_sub(open.held_by_leaving());
            // One that holds all of it has the limit of its route: if that is above this one, it could never end well.
            if staying <= self.settings.load().max_upload_bytes.get() || open.most_held() >= staying {
                return;
            }
            let share = staying / ((open.uploads.len() - open.leaving) as u64).max(1);
            self.shed(&mut open, |upload| upload.held.load(Relaxed) >= share);
        }
    }

    fn release(&self, bytes: u64) {
        let held = self.held.fetch_sub(bytes, Relaxed) - bytes;
        self.bytes.set(i64::try_from(held).unwrap_or(i64::MAX));
    }
}

impl Open {
    fn held_by_leaving(&self) -> u64 {
        let leaving = self.uploads.values().filter(|upload| upload.is_shed.load(Relaxed));
        leaving.map(|upload| upload.held.load(Relaxed)).sum()
    }

    fn most_held(&self) -> u64 {
        let staying = self.uploads.values().filter(|upload| !upload.is_shed.load(Relaxed));
        staying.map(|upload| upload.held.load(Relaxed)).max().unwrap_or(0)
    }
}

impl Progress {
    /// Bytes a second since it began, with its credit.
    fn rate(&self, now: Instant) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let bytes = (self.received.load(Relaxed) + CREDIT) as f64;
        bytes / now.saturating_duration_since(self.begun).max(YOUNG).as_secs_f64()
    }
}

/// A body's registration: none until the body turns out to be incomplete.
#[derive(Debug)]
pub(super) struct Tracked {
    uploads: Uploads,
    upload: Option<Upload>,
}

impl Tracked {
    pub(super) fn new(uploads: &Uploads) -> Self {
        Self { uploads: uploads.clone(), upload: None }
    }

    /// Starts to wait for the client. Returns whether the upload must end for others.
    pub(super) fn waits(&mut self, cx: &Context<'_>) -> bool {
        let progress = &self.upload().progress;
        progress.waker.register(cx.waker());
        progress.is_shed.load(SeqCst)
    }

    /// Whether it must end for others.
    pub(super) fn is_shed(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| upload.progress.is_shed.load(SeqCst))
    }

    /// A part other than the last arrived: its bytes count while the handler keeps them.
    pub(super) fn part(&mut self, bytes: Bytes) -> Bytes {
        let length = bytes.len() as u64;
        let upload = self.upload();
        upload.progress.received.fetch_add(length, Relaxed);
        upload.progress.held.fetch_add(length, Relaxed);
        upload.uploads.0.hold(length);
        let owner = Held { bytes, progress: Arc::clone(&upload.progress), uploads: upload.uploads.clone() };
        Bytes::from_owner(owner)
    }

    /// The last part arrived, or none will.
    pub(super) fn end(&mut self) {
        self.upload = None;
    }

    fn upload(&mut self) -> &Upload {
        self.upload.get_or_insert_with(|| self.uploads.enter())
    }
}

/// A registered upload.
#[derive(Debug)]
struct Upload {
    id: u64,
    progress: Arc<Progress>,
    uploads: Uploads,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A complete body belongs to its handler: it is no upload that could end to free memory.
        self.uploads.0.release(self.progress.held.swap(COMPLETE, Relaxed));
        let mut open = self.uploads.0.lock();
        open.uploads.remove(&self.id);
        open.leaving -= usize::from(self.progress.is_shed.load(SeqCst));
        self.uploads.0.count.dec();
    }
}

/// Bytes of a body, counted while they are held.
struct Held {
    bytes: Bytes,
    progress: Arc<Progress>,
    uploads: Uploads,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let length = self.bytes.len() as u64;
        let left = |held| (held != COMPLETE).then(|| held - length);
        if self.progress.held.fetch_update(Relaxed, Relaxed, left).is_ok() {
            self.uploads.0.release(length);
        }
    }
}

#[cfg(test)]
mod tests;
