use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use super::*;
use crate::lifecycle::Lifecycle;

fn tasks() -> (Lifecycle, Tasks) {
    let lifecycle = Lifecycle::new(None);
    let tasks = Tasks::new(&Registry::new(), lifecycle.drain()).expect("the registry's first metrics");
    (lifecycle, tasks)
}

fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&runs), runs)
}

/// Polls everything that is due.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_until_the_replica_is_ready() {
    let (_lifecycle, tasks) = tasks();
    let (inside, runs) = counter();
    tasks.once("count", move |_| async move {
        inside.fetch_add(1, Relaxed);
    });
    settle().await;
    assert_eq!(runs.load(Relaxed), 0);
    tasks.start(&Handle::current());
    tasks.ended().await;
    assert_eq!(runs.load(Relaxed), 1);
}

/// What a task holds is free when its resources are closed.
#[tokio::test(start_paused = true)]
async fn a_task_that_was_cut_is_gone_before_resources_close() {
    let (_lifecycle, tasks) = tasks();
    tasks.start(&Handle::current());
    let held = Arc::new(());
    let (inside, kept) = (Arc::clone(&held), Arc::downgrade(&held));
    drop(held);
    tasks.once("holder", move |_| async move {
        std::future::pending::<()>().await;
        drop(inside);
    });
    tasks.close_with("resource", async move {
        let holders = kept.strong_count();
        if holders == 0 { Ok(()) } else { Err(format!("{holders} still use it")) }
    });
    settle().await;
    assert_eq!(tasks.cut(), 1);
    assert!(tasks.close(tokio::time::Instant::now() + Duration::from_secs(1)).await);
}

/// A loop for ever, a result, and nothing are all endings.
#[tokio::test(start_paused = true)]
async fn a_task_may_loop_for_ever_and_is_cut() {
    let (_lifecycle, tasks) = tasks();
    tasks.start(&Handle::current());
    tasks.once("loop", |_| async {
        loop {
            settle().await;
        }
    });
    tasks.once("result", |_| async { Ok::<_, Infallible>(()) });
    settle().await;
    assert_eq!(tasks.cut(), 1);
    tasks.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_starts_again_by_its_policy_and_never_in_a_drain() {
    for (restart, result, expected) in [
        (Restart::OnPanic, Err("failed"), 1),
        (Restart::OnFailure, Err("failed"), 7),
        (Restart::OnFailure, Ok(()), 1),
        (Restart::Always, Ok(()), 7),
    ] {
        let (lifecycle, tasks) = tasks();
        let (inside, runs) = counter();
        tasks.start(&Handle::current());
        tasks.again("count", restart, move |_| {
            inside.fetch_add(1, Relaxed);
            async move { result }
        });
        // Behind pauses of 1, 2, 4, 8, 16 and 32 s, each ±10 %.
        tokio::time::sleep(Duration::from_secs(85)).await;
        assert_eq!(runs.load(Relaxed), expected, "{restart:?}, {result:?}");
        lifecycle.begin_drain(Duration::ZERO);
        tasks.ended().await;
        assert_eq!(runs.load(Relaxed), expected, "{restart:?}, {result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_periodic_task_runs_once_a_period() {
    let (lifecycle, tasks) = tasks();
    let (inside, runs) = counter();
    tasks.start(&Handle::current());
    tasks.every("count", Duration::from_secs(10), move || {
        inside.fetch_add(1, Relaxed);
        async { Err::<(), _>("failed") }
    });
    tokio::time::sleep(Duration::from_secs(1000)).await;
    let before = runs.load(Relaxed);
    assert!((90..=111).contains(&before), "{before} runs");
    lifecycle.begin_drain(Duration::ZERO);
    tasks.ended().await;
    assert_eq!(runs.load(Relaxed), before);
}

#[tokio::test(start_paused = true)]
async fn resources_close_in_reverse_and_each_failure_counts() {
    let (_lifecycle, tasks) = tasks();
    tasks.start(&Handle::current());
    let order = Arc::new(Mutex::new(Vec::new()));
    for (name, result) in [("first", Ok(())), ("second", Err("failed")), ("third", Ok(()))] {
        let order = Arc::clone(&order);
        tasks.close_with(name, async move {
            lock(&order).push(name);
            result
        });
    }
    let later = Instant::now() + Duration::from_secs(1);
    assert!(!tasks.close(later).await);
    assert_eq!(*lock(&order), ["third", "second", "first"]);
    assert!(tasks.close(later).await);
    tasks.close_with("hangs", std::future::pending::<()>());
    assert!(!tasks.close(later).await);
}
