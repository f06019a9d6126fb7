//! The places for open connections: as many as `server.max_connections`, which `auto` lets follow the memory limit.
//!
//! Next: [`super::service`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places, of which each open connection has one.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    count: Mutex<Count>,
}

#[derive(Debug)]
struct Count {
    /// Free and taken.
    all: usize,
    wanted: usize,
    /// Someone takes places to [remove](Places::remove) them.
    is_shrinking: bool,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        let count = Count { all: max, wanted: max, is_shrinking: false };
        Self { free: Arc::new(Semaphore::new(max)), count: Mutex::new(count) }
    }

    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    pub(super) async fn take(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// How many there are, or will be once enough were removed.
    pub(super) fn max(&self) -> usize {
        self.count().wanted
    }

    /// Adds places, or removes free ones. Returns whether the caller has to take more and [remove](Self::remove) them.
    pub(super) fn resize(&self, max: usize) -> bool {
        let mut count = self.count();
        count.wanted = max;
        self.free.add_permits(max.saturating_sub(count.all));
        count.all = count.all.max(max);
        count.all -= self.free.forget_permits(count.all - max);
        let begins = count.all > max && !count.is_shrinking;
        count.is_shrinking |= begins;
        begins
    }

    /// Removes a place, unless there may be as many again. Returns whether there are still too many.
    pub(super) fn remove(&self, place: OwnedSemaphorePermit) -> bool {
        let mut count = self.count();
        if count.all > count.wanted {
            place.forget();
            count.all -= 1;
        }
        count.is_shrinking = count.all > count.wanted;
        count.is_shrinking
    }

    /// Whether nobody removes any.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        !self.count().is_shrinking
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(places: &Places) -> usize {
        places.free.available_permits()
    }

    #[tokio::test]
    async fn free_places_come_and_go_at_once() {
        let places = Places::new(2);
        let taken = places.try_take();
        assert!(!places.resize(5));
        assert_eq!((places.max(), free(&places)), (5, 4));
        assert!(!places.resize(1));
        assert_eq!((places.max(), free(&places)), (1, 0));
        drop(taken);
        assert_eq!(free(&places), 1);
    }

    #[tokio::test]
    async fn taken_places_are_removed_one_by_one() {
        let places = Places::new(3);
        let mut taken: Vec<_> = (0..3).map(|_| places.try_take()).collect();
        assert!(places.resize(1), "all are taken");
        assert!(!places.resize(1), "someone is at it");
        taken.pop();
        assert!(places.remove(places.take().await));
        taken.pop();
        assert!(!places.remove(places.take().await));
        assert_eq!(free(&places), 0, "one is taken, and no other is there");
        taken.pop();
        assert_eq!(free(&places), 1);
    }

    #[tokio::test]
    async fn a_limit_that_rises_meanwhile_is_kept() {
        let places = Places::new(2);
        let taken = [places.try_take(), places.try_take()];
        assert!(places.resize(1));
        assert!(!places.resize(4), "it grows, and whoever shrinks it will see that");
        assert!(!places.remove(places.take().await));
        drop(taken);
        assert_eq!((places.max(), free(&places)), (4, 4));
        assert!(!places.resize(2), "free ones are enough");
        assert_eq!(free(&places), 2);
    }
}
