//! Verdicts on tokens, for a while: bounded in number, and one question for all requests that wait for the same token.
//!
//! Two halves: the newer one fills up, becomes the older one, and what is used again moves to the newer one. So what is
//! dropped has not been used for at least a half's worth of other tokens.
//!
//! Next: [`super::guard`].

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::OnceCell, time::Instant};

/// The SHA-256 of a token: tokens themselves stay out of memory.
type Key = [u8; 32];

/// Verdicts `V`.
pub(super) struct Cache<V> {
    halves: Mutex<Halves<V>>,
    /// Of one half.
    most: usize,
}

struct Halves<V> {
    newer: HashMap<Key, Arc<Entry<V>>>,
    older: HashMap<Key, Arc<Entry<V>>>,
}

struct Entry<V>(OnceCell<(V, Instant)>);

impl<V: Clone> Cache<V> {
    pub(super) fn new(most: usize) -> Self {
        let halves = Halves { newer: HashMap::new(), older: HashMap::new() };
        Self { halves: Mutex::new(halves), most: most.div_ceil(2).max(1) }
    }

    /// The verdict on `key`, which `ask` gives with the time that it holds. An error is kept for nobody.
    pub(super) async fn get<E, F>(&self, key: Key, ask: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<(V, Duration), E>>,
    {
        // Who leaves while it asks leaves that to the next who waits.
        let ask = || async move {
            let (verdict, holds) = ask().await?;
            Ok((verdict, Instant::now() + holds))
        };
        self.entry(key).0.get_or_try_init(ask).await.map(|(verdict, _)| verdict.clone())
    }

    fn entry(&self, key: Key) -> Arc<Entry<V>> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let known = halves.newer.get(&key).cloned().or_else(|| halves.older.remove(&key));
        let entry = known.filter(|entry| entry.holds()).unwrap_or_else(|| Arc::new(Entry(OnceCell::new())));
        if halves.newer.len() >= self.most && !halves.newer.contains_key(&key) {
            halves.older = mem::take(&mut halves.newer);
        }
        halves.newer.insert(key, Arc::clone(&entry));
        entry
    }
}

impl<V> Entry<V> {
    /// Also while it is asked for.
    fn holds(&self) -> bool {
        self.0.get().is_none_or(|(_, until)| Instant::now() < *until)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Default)]
    struct Asked(AtomicUsize);

    impl Asked {
        async fn get(&self, cache: &Cache<u8>, key: u8) -> u8 {
            let ask = || async {
                self.0.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>((key, SECOND))
            };
            cache.get([key; 32], ask).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_verdict_is_asked_for_once_until_it_expires() {
        let (cache, asked) = (Cache::new(8), Asked::default());
        let all = futures_util::future::join_all((0..16).map(|_| asked.get(&cache, 1))).await;
        assert_eq!((all, asked.0.load(SeqCst)), (vec![1; 16], 1));
        tokio::time::advance(SECOND).await;
        assert_eq!((asked.get(&cache, 1).await, asked.0.load(SeqCst)), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_kept_for_nobody() {
        let cache: Cache<u8> = Cache::new(8);
        assert_eq!(cache.get([1; 32], || async { Err("away") }).await, Err("away"));
        assert_eq!(cache.get([1; 32], || async { Ok::<_, &str>((1, SECOND)) }).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_and_keeps_what_is_used() {
        let (cache, asked) = (Cache::new(8), Asked::default());
        for key in 0..=255 {
            asked.get(&cache, 0).await;
            asked.get(&cache, key).await;
            let halves = cache.halves.lock().unwrap();
            assert!(halves.newer.len() + halves.older.len() <= 8);
        }
        assert_eq!(asked.0.load(SeqCst), 256, "the one in use is asked for once");
    }
}
