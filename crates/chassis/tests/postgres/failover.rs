//! A database that is lost and comes back: who fails, and who asks for it.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use chassis::testing::{Answer, Service};

use crate::{
    server::Postgres,
    service::{BOUND, database, start},
};

/// So many requests at once, each time anew.
const CLIENTS: usize = 100;

/// A busy machine opens connections slowly; what is refused here is refused for the database's sake alone.
const PATIENT: [(&str, &str); 2] =
    [("APP__APP__DATABASE__ACQUIRE_TIMEOUT", "20s"), ("APP__OVERLOAD__ENABLED", "false")];

async fn wave(service: &Service) -> Vec<Answer> {
    let requests: Vec<_> = (0..CLIENTS).map(|_| service.get("/visit").send()).collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await);
    }
    answers
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn a_restart_under_load_costs_what_is_in_flight_and_no_request_after_it() {
    let postgres = Arc::new(Postgres::start());
    let service = start(&database(&postgres).await, &PATIENT).await;
    assert_eq!(count(&wave(&service).await, 200), CLIENTS);

    let restarting = Arc::clone(&postgres);
    let restart = thread::spawn(move || {
        restarting.lose();
        restarting.resume();
        Instant::now()
    });
    let (mut failed, mut sent) = (0, 0);
    // Waves until the first one behind the restart that is served whole.
    let deadline = Instant::now() + BOUND;
    loop {
        let is_back = restart.is_finished();
        let answers = wave(&service).await;
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            // Neither an error of the service's own, nor a silence.
            assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{answer:?}");
        }
        sent += CLIENTS;
        failed += CLIENTS - count(&answers, 200);
        if is_back && count(&answers, 200) == CLIENTS {
            break;
        }
        assert!(Instant::now() < deadline, "it does not recover:\n{}", service.log());
    }
    let back = restart.join().expect("no panic");
    println!("{failed} of {sent} requests failed; a whole wave was served {:?} after the restart", back.elapsed());
    for _ in 0..5 {
        assert_eq!(count(&wave(&service).await, 200), CLIENTS);
    }
    // A connection for each place of the pool, and some that asked whether it is back.
    let connections = postgres.said().matches("connection received").count();
    println!("{connections} connections to the server since its restart");
    assert!(connections <= 16 + ATTEMPTS, "a herd of {connections} connections");
    // The fleet's other replicas are as well off: it stays in the balancer.
    assert_eq!(service.probe("/readyz").await.status, 200);
}

/// Attempts during a start of Postgres, which takes seconds on a busy machine, and the harness's own looks.
const ATTEMPTS: usize = 40;

#[tokio::test]
async fn while_it_is_away_a_replica_makes_one_attempt_a_step() {
    let postgres = Postgres::start();
    let service = start(&database(&postgres).await, &PATIENT).await;
    assert_eq!(count(&wave(&service).await, 200), CLIENTS);
    postgres.lose();
    let door = Door::open(&postgres);
    let begun = Instant::now();
    let mut refused = 0;
    while door.attempts() < 8 {
        assert!(begun.elapsed() < BOUND, "{} attempts only", door.attempts());
        let answers = wave(&service).await;
        assert_eq!(count(&answers, 200), 0);
        refused += count(&answers, 503);
    }
    let (attempts, took) = (door.attempts(), begun.elapsed());
    println!("{attempts} attempts in {took:?}, while {refused} requests were refused");
    assert!(attempts <= steps(took), "{attempts} attempts in {took:?}, where there are {} steps", steps(took));
    assert!(refused > 20 * attempts, "{refused} requests, {attempts} attempts");
    service.wait_for_metric("health_check_up", &[("check", "database")], |up| up < 0.5).await;
    assert_eq!(service.probe("/readyz").await.status, 200);

    drop(door);
    postgres.resume();
    service.wait_for_log("the database answers again").await;
    assert_eq!(count(&wave(&service).await, 200), CLIENTS);
    service.wait_for_metric("health_check_up", &[("check", "database")], |up| up > 0.5).await;
}

/// The most attempts in this time: half of each pause may be cut, from 50 ms to 1 s. One more for the end of the time, and
/// one for the first.
fn steps(took: Duration) -> usize {
    let (mut pause, mut at, mut steps) = (Duration::from_millis(50), Duration::ZERO, 2);
    while at < took {
        at += pause / 2;
        pause = (pause * 2).min(Duration::from_secs(1));
        steps += 1;
    }
    steps
}

#[tokio::test]
async fn a_pool_that_is_full_is_no_database_that_is_away() {
    let postgres = Postgres::shared();
    let settings = [("APP__APP__DATABASE__MAX_CONNECTIONS", "2"), ("APP__APP__DATABASE__ACQUIRE_TIMEOUT", "200ms")];
    let service = start(&database(&postgres).await, &settings).await;
    let slow: Vec<_> = (0..2).map(|_| service.get("/sleep?ms=10000").send()).collect();
    service.wait_for_metric("db_client_connection_count", &[("state", "used")], |used| used > 1.5).await;
    let refused = service.get("/visit").await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{refused:?}");
    service.wait_for_log("all connections to the database are in use").await;
    assert_eq!(service.metric("db_client_connection_timeouts_total", &[]), Some(1.0));
    assert_eq!(service.metric("db_client_connection_max", &[]), Some(2.0));
    for slow in slow {
        assert_eq!(slow.await.status, 200);
    }
    assert_eq!(service.get("/visit").await.status, 200);
    assert!(!service.log().contains("the database is away"), "{}", service.log());
}

/// Whoever asks in the place of a Postgres that is away: accepted, counted and sent off.
struct Door {
    attempts: Arc<AtomicUsize>,
    is_open: Arc<AtomicBool>,
    keeper: Option<thread::JoinHandle<()>>,
}

impl Door {
    fn open(postgres: &Postgres) -> Self {
        // What was lost leaves it behind.
        let _ = std::fs::remove_file(postgres.socket());
        let listener = UnixListener::bind(postgres.socket()).expect("its place is free");
        std::fs::set_permissions(postgres.socket(), PermissionsExt::from_mode(0o777)).expect("our file");
        listener.set_nonblocking(true).expect("a socket");
        let (attempts, is_open) = (Arc::<AtomicUsize>::default(), Arc::new(AtomicBool::new(true)));
        let (counted, open, place) = (Arc::clone(&attempts), Arc::clone(&is_open), postgres.socket());
        let keeper = thread::spawn(move || {
            while open.load(Relaxed) {
                if listener.accept().is_ok() {
                    counted.fetch_add(1, Relaxed);
                } else {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            std::fs::remove_file(place).expect("our file");
        });
        Self { attempts, is_open, keeper: Some(keeper) }
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Relaxed)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.is_open.store(false, Relaxed);
        self.keeper.take().map(thread::JoinHandle::join);
    }
}
