mod sharing;

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::{
    limit::{Bounds, Controller},
    window::Summary,
    *,
};

fn overload(limit: usize, queue_length: usize) -> (Overload, Registry) {
    let registry = Registry::new();
    let settings = Settings { max_in_flight: limit, queue_length, ..Settings::default() };
    (Overload::new(&settings, 1, &registry), registry)
}

fn io(overload: &Overload) -> Arc<Limiter> {
    overload.limiter(Runtime::Io, None)
}

fn free(pool: &Arc<Limiter>) -> Option<AdmissionPermit> {
    pool.try_admit(Instant::now().into_std(), None)
}

fn soon(milliseconds: u64) -> std::time::Instant {
    Instant::now().into_std() + Duration::from_millis(milliseconds)
}

#[tokio::test(start_paused = true)]
async fn above_the_limit_one_waits_and_the_next_is_refused() {
    let (overload, _) = overload(1, 1);
    let io = io(&overload);
    let place = free(&io).expect("free");
    assert!(free(&io).is_none());
    let mut queued = Box::pin(Arc::clone(&io).admit(Class::Normal, None));
    assert!(futures_util::poll!(queued.as_mut()).is_pending());
    assert_eq!(Arc::clone(&io).admit(Class::Normal, None).await.err(), Some(Shed::QueueFull));
    drop(place);
    queued.await.expect("the place was given back");
}

#[tokio::test(start_paused = true)]
async fn the_queue_waits_no_longer_than_its_timeout_or_the_deadline() {
    let (overload, _) = overload(1, 8);
    let io = io(&overload);
    let _place = free(&io).expect("free");
    let begun = Instant::now();
    assert_eq!(Arc::clone(&io).admit(Class::Normal, None).await.err(), Some(Shed::QueueTimeout));
    assert_eq!(begun.elapsed().as_millis(), 50);
    assert_eq!(Arc::clone(&io).admit(Class::Normal, Some(soon(5))).await.err(), Some(Shed::Deadline));
    assert_eq!(begun.elapsed().as_millis(), 55);
}

#[tokio::test]
async fn a_lower_limit_holds_once_places_come_back() {
    let (overload, _) = overload(2, 0);
    let io = io(&overload);
    let (first, second) = (free(&io).expect("free"), free(&io).expect("free"));
    overload.reload(&Settings { max_in_flight: 1, ..Settings::default() });
    assert_eq!(io.in_flight(), 2);
    drop(first);
    assert!(free(&io).is_none());
    drop(second);
    assert_eq!(io.in_flight(), 0);
    let _third = free(&io).expect("one place is left");
    assert!(free(&io).is_none());
    overload.reload(&Settings { max_in_flight: 3, ..Settings::default() });
    assert!(free(&io).is_some());
}

#[tokio::test]
async fn saturation_is_what_is_in_flight_by_the_limit() {
    let (overload, registry) = overload(4, 0);
    let _place = free(&io(&overload)).expect("free");
    overload.limiter(Runtime::Io, Some("database"));
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("encodes");
    assert!(text.contains("overload_saturation_ratio{pool=\"io\"} 0.25"), "{text}");
    assert!(text.contains("overload_limit{pool=\"database\"} 4"), "{text}");
}

#[test]
#[should_panic(expected = "the pool \"mixed\" has routes that are `cpu_bound` and routes that are not")]
fn a_pool_is_on_one_runtime() {
    let (overload, _) = overload(1, 0);
    overload.limiter(Runtime::Io, Some("mixed"));
    overload.limiter(Runtime::Work, Some("mixed"));
}

#[tokio::test(start_paused = true)]
async fn critical_requests_go_first_and_have_places_to_themselves() {
    let (overload, _) = overload(4, 8);
    let io = io(&overload);
    let mut places: Vec<_> = (0..4).map(|_| free(&io).expect("free")).collect();
    places.push(Arc::clone(&io).admit(Class::Critical, None).await.expect("a quarter more"));
    let mut waiting: Vec<_> = [Class::Sheddable, Class::Normal, Class::Critical]
        .map(|class| Box::pin(Arc::clone(&io).admit(class, None)))
        .into();
    for queued in &mut waiting {
        assert!(futures_util::poll!(queued.as_mut()).is_pending());
    }
    places.pop();
    let mut critical = waiting.pop().expect("the critical one");
    let critical = futures_util::poll!(critical.as_mut());
    assert!(matches!(critical, std::task::Poll::Ready(Ok(_))), "{critical:?}");
    places.truncate(2);
    assert!(futures_util::poll!(waiting[0].as_mut()).is_pending(), "the sheddable one is last");
    assert!(futures_util::poll!(waiting[1].as_mut()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn in_a_full_queue_the_lower_class_makes_room() {
    let (overload, _) = overload(1, 1);
    let io = io(&overload);
    let _place = free(&io).expect("free");
    let _headroom = Arc::clone(&io).admit(Class::Critical, None).await.expect("a quarter more");
    let mut sheddable = Box::pin(Arc::clone(&io).admit(Class::Sheddable, None));
    assert!(futures_util::poll!(sheddable.as_mut()).is_pending());
    let mut normal = Box::pin(Arc::clone(&io).admit(Class::Normal, None));
    assert!(futures_util::poll!(normal.as_mut()).is_pending());
    assert_eq!(sheddable.await.err(), Some(Shed::Displaced));
    let mut critical = Box::pin(Arc::clone(&io).admit(Class::Critical, None));
    assert!(futures_util::poll!(critical.as_mut()).is_pending());
    assert_eq!(normal.await.err(), Some(Shed::Displaced));
    assert_eq!(Arc::clone(&io).admit(Class::Sheddable, None).await.err(), Some(Shed::QueueFull));
}

#[test]
fn a_queue_that_stands_turns_last_in_first_out_and_hurries() {
    let timeout = Duration::from_millis(50);
    let begun = std::time::Instant::now();
    let mut queue = queue::Queue::default();
    let mut receivers: Vec<_> = (0..4)
        .map(|_| {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            queue.enter(Class::Normal, sender, 8, begun, timeout).expect("room");
            receiver
        })
        .collect();
    let mut next = |at: std::time::Instant, queue: &mut queue::Queue| {
        let sender = queue.take(Class::Normal, at, timeout).expect("someone waits");
        sender.send(Err(Shed::QueueTimeout)).expect("listened to");
        receivers.iter_mut().position(|receiver| receiver.try_recv().is_ok()).expect("the one that was told")
    };
    let (calm, pressed) = (begun + timeout, begun + 2 * timeout);
    assert_eq!((next(calm, &mut queue), queue.patience(Class::Normal, calm, timeout)), (0, timeout));
    assert_eq!((next(pressed, &mut queue), queue.patience(Class::Normal, pressed, timeout)), (3, timeout / 5));
    assert_eq!(queue.patience(Class::Critical, pressed, timeout), timeout);
    assert_eq!((next(pressed, &mut queue), next(pressed, &mut queue)), (2, 1));
    // Empty for a moment is no calm yet.
    assert!(queue.is_pressed(pressed + 4 * timeout, timeout));
    assert!(!queue.is_pressed(pressed + 5 * timeout, timeout));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_leaves_the_queue_and_takes_no_place_along() {
    let (overload, _) = overload(1, 8);
    let io = io(&overload);
    let place = free(&io).expect("free");
    let (mut gone, mut told) =
        (Box::pin(Arc::clone(&io).admit(Class::Normal, None)), Box::pin(Arc::clone(&io).admit(Class::Normal, None)));
    assert!(futures_util::poll!(gone.as_mut()).is_pending());
    drop(gone);
    assert!(futures_util::poll!(told.as_mut()).is_pending());
    drop(place);
    // It has been told, and does not come for it.
    drop(told);
    assert_eq!(io.in_flight(), 0);
    assert!(free(&io).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_the_quickest_would_miss_is_refused_at_once() {
    let (overload, _) = overload(100, 8);
    let io = io(&overload);
    // Two windows of ten requests that take 100 ms.
    for _ in 0..20 {
        let place = free(&io).expect("free");
        tokio::time::advance(Duration::from_millis(100)).await;
        place.end(Instant::now().into_std(), StatusCode::OK);
    }
    assert!(io.try_admit(Instant::now().into_std(), Some(soon(90))).is_none());
    let begun = Instant::now();
    assert_eq!(Arc::clone(&io).admit(Class::Critical, Some(soon(90))).await.err(), Some(Shed::Deadline));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(io.try_admit(Instant::now().into_std(), Some(soon(110))).is_some());
    // What was measured too long ago is asked anew.
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(Arc::clone(&io).admit(Class::Normal, Some(soon(90))).await.is_ok());
}

#[tokio::test]
async fn disabled_admission_refuses_nothing_and_counts_still() {
    let registry = Registry::new();
    let settings = Settings { enabled: false, max_in_flight: 1, queue_length: 0, ..Settings::default() };
    let overload = Overload::new(&settings, 1, &registry);
    let io = io(&overload);
    let places: Vec<_> = (0..5).map(|_| free(&io).expect("no limit")).collect();
    assert_eq!(io.in_flight(), 5);
    drop(places);
    assert_eq!(io.in_flight(), 0);
}

#[tokio::test]
async fn the_limits_of_the_work_runtime_follow_its_threads() {
    let (overload, _) = overload(100, 0);
    let (io, work) = (io(&overload), overload.limiter(Runtime::Work, None));
    let places: Vec<_> = (0..12).map(|_| free(&work).expect("twelve for a thread")).collect();
    assert!(free(&work).is_none());
    overload.set_work_threads(3);
    assert_eq!((work.limit(), io.limit()), (36, 100));
    assert!(free(&work).is_some());
    overload.set_work_threads(1);
    assert_eq!((work.limit(), work.in_flight()), (12, 12), "what is in flight stays");
    assert!(free(&work).is_none());
    drop(places);
    assert!(free(&work).is_some());
    assert_eq!(overload.limiter(Runtime::Work, Some("later")).limit(), 12, "also of a route that comes later");
}

/// A window of 100 ms whose work took `milliseconds` on average.
fn seen(milliseconds: f64, rate: f64, in_flight: usize, full: bool, timeouts: f64) -> Summary {
    Summary {
        lasted: Duration::from_millis(100),
        rate,
        latency: milliseconds / 1000.0,
        timeouts,
        least: Duration::ZERO,
        peak: in_flight,
        in_flight,
        full,
    }
}

fn judge(controller: &mut Controller, windows: usize, window: Summary) -> usize {
    for _ in 0..windows {
        controller.judge(&window);
    }
    controller.limit()
}

#[test]
fn a_try_goes_down_to_a_floor_that_keeps_all_threads_busy() {
    let mut controller = Controller::new(Bounds { floor: 1.0, ceiling: 12.0, floor_is_busy: true });
    assert_eq!(judge(&mut controller, 5, seen(60.0, 200.0, 12, true, 0.0)), 1);
    assert_eq!(judge(&mut controller, 1, seen(5.0, 200.0, 1, true, 0.0)), 3);
}

#[test]
fn at_its_floor_the_limit_follows_what_got_slower() {
    let mut controller = Controller::new(Bounds { floor: 4.0, ceiling: 100.0, floor_is_busy: false });
    judge(&mut controller, 10, seen(20.0, 70.0, 2, false, 0.0));
    assert_eq!(judge(&mut controller, 7, seen(60.0, 70.0, 9, false, 0.0)), 4);
    // By chance the answers of the trial were quick, as if it were a queue of ours.
    judge(&mut controller, 1, seen(40.0, 70.0, 4, true, 0.0));
    assert_eq!(judge(&mut controller, 5, seen(60.0, 70.0, 4, true, 0.0)), 9);
}

#[test]
fn a_small_shrink_makes_no_queue_the_normal() {
    let mut controller = Controller::new(Bounds { floor: 4.0, ceiling: 28.0, floor_is_busy: false });
    judge(&mut controller, 10, seen(66.0, 154.0, 10, false, 0.0));
    assert_eq!(judge(&mut controller, 3, seen(167.0, 154.0, 28, true, 0.0)), 19);
    assert_eq!(judge(&mut controller, 1, seen(167.0, 154.0, 19, true, 0.0)), 19);
}

#[test]
fn where_most_times_out_nothing_is_normal_and_fewer_are_tried_until_little_does() {
    let mut controller = Controller::new(Bounds { floor: 4.0, ceiling: 80.0, floor_is_busy: false });
    judge(&mut controller, 10, seen(160.0, 30.0, 5, false, 0.0));
    let in_vain = |in_flight| seen(235.0, 80.0, in_flight, true, 0.7);
    assert_eq!(judge(&mut controller, 5, in_vain(80)), 40);
    assert_eq!(judge(&mut controller, 1, in_vain(40)), 20);
    assert_eq!(judge(&mut controller, 1, seen(120.0, 165.0, 20, true, 0.0)), 35);
}

#[test]
fn a_dependency_that_hangs_takes_no_places_from_the_others_of_its_pool() {
    let mut controller = Controller::new(Bounds { floor: 4.0, ceiling: 2048.0, floor_is_busy: false });
    judge(&mut controller, 10, seen(20.0, 100.0, 2, false, 0.0));
    // A fifth goes there.
    let hangs = |in_flight| seen(1000.0, 80.0, in_flight, false, 0.2);
    assert_eq!(judge(&mut controller, 2, hangs(100)), 5);
    assert_eq!(judge(&mut controller, 1, hangs(5)), 2048);
    assert_eq!(judge(&mut controller, 100, hangs(100)), 2048);
    // Nor does a limit stay low for its sake that an overload had lowered.
    let mut controller = Controller::new(Bounds { floor: 4.0, ceiling: 2048.0, floor_is_busy: false });
    judge(&mut controller, 10, seen(20.0, 100.0, 2, false, 0.0));
    assert_eq!(judge(&mut controller, 1, seen(20.0, 100.0, 2000, true, 0.0)), 5);
    judge(&mut controller, 1, seen(20.0, 100.0, 5, true, 0.0));
    judge(&mut controller, 8, seen(1000.0, 4.0, 5, true, 0.2));
    assert_eq!(judge(&mut controller, 100, hangs(100)), 2048);
}
