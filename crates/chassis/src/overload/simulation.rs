//! Simulation of the pools with recorded service times, in virtual time: independent of the machine and reproducible.
//!
//! `cargo test --package chassis --lib simulation -- --nocapture` prints the table. The traces are of the real program;
//! `template/scripts/measure-overload --record` makes them anew.
//!
//! Next: [`scenarios`].

#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

mod neighbours;
mod scenarios;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use congestion_limiter::{
    limiter::{DefaultLimiter, Limiter as _, Outcome},
    limits::Vegas,
};
use fastrand::Rng;
use http::StatusCode;
use prometheus::Registry;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{Class, Limiter, Overload, Runtime, Settings};
use crate::values::Auto;

/// What a client waits for.
const DEADLINE: Duration = Duration::from_millis(250);
const CPU: &str = include_str!("traces/cpu.txt");
const WAIT: &str = include_str!("traces/wait.txt");

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Handler {
    /// Computes on one of two threads; once it has begun, nothing stops it.
    Computes,
    /// The same on the only thread: chance alone makes longer queues.
    ComputesAlone,
    /// Waits for one of ten permits, and holds it while it waits for something else.
    Holds,
}

/// Who admits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Admission {
    Adaptive,
    /// A fixed limit of so many for each that is served at a time.
    Fixed(usize),
    /// The crate's Vegas, with a wait as long as ours.
    Vegas,
    Off,
}

impl Handler {
    fn servers(self) -> usize {
        match self {
            Self::Computes => 2,
            Self::ComputesAlone => 1,
            Self::Holds => 10,
        }
    }

    /// Rounded up to milliseconds, the steps of virtual time.
    fn times(self) -> Vec<Duration> {
        let trace = if self == Self::Holds { WAIT } else { CPU };
        let micros =
            trace.lines().filter(|line| !line.starts_with('#')).map(|line| line.parse::<u64>().expect("a number"));
        micros.map(|micros| Duration::from_millis(micros.div_ceil(1000))).collect()
    }

    /// Requests a second at most.
    fn capacity(self) -> f64 {
        let times = self.times();
        self.servers() as f64 * times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64()
    }
}

/// What a run is made of.
#[derive(Clone, Copy)]
struct Run<'a> {
    handler: Handler,
    admission: Admission,
    retries: usize,
    /// Load in times of the capacity, the seconds that it lasts, and how much slower than its trace the service is.
    phases: &'a [(f64, u64, u32)],
    /// Of the arrivals; another one is another course of chance.
    seed: u64,
}

/// What came of a phase.
#[derive(Clone, Default)]
struct Figures {
    asked: usize,
    answered: usize,
    refused: usize,
    critical: (usize, usize),
    /// How long each answer and each refusal took.
    answers: Vec<Duration>,
    refusals: Vec<Duration>,
    /// Answered within its deadline, by what could be at most.
    goodput: f64,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, answered, refused, critical, goodput, .. } = self;
        write!(f, "{answered} of {asked} answered, {refused} refused, critical {critical:?}, goodput {goodput:.3}")
    }
}

enum Gate {
    Pool(Arc<Limiter>),
    Vegas(Box<DefaultLimiter<Vegas>>),
}

struct World {
    gate: Gate,
    handler: Handler,
    servers: Arc<Semaphore>,
}

#[derive(PartialEq)]
enum End {
    Answered,
    Late,
    Refused,
}

impl World {
    fn new(handler: Handler, admission: Admission) -> Self {
        let limit = match admission {
            Admission::Fixed(each) => each * handler.servers(),
            _ => 2048,
        };
        let settings = Settings {
            enabled: admission != Admission::Off,
            adaptive: admission == Admission::Adaptive,
            max_in_flight: limit,
            work_max_in_flight: if admission == Admission::Adaptive { Auto::Auto } else { Auto::Value(limit) },
            ..Settings::default()
        };
        let runtime = if handler == Handler::Holds { Runtime::Io } else { Runtime::Work };
        let gate = match admission {
            Admission::Vegas => Gate::Vegas(Box::new(DefaultLimiter::new(Vegas::new(20, 1..=2048)))),
            _ => Gate::Pool(Overload::new(&settings, handler.servers(), &Registry::new()).limiter(runtime, None)),
        };
        Self { gate, handler, servers: Arc::new(Semaphore::new(handler.servers())) }
    }

    async fn attempt(&self, class: Class, service: Duration) -> End {
        let deadline = Instant::now() + DEADLINE;
        match &self.gate {
            Gate::Pool(pool) => {
                let until = Some(deadline.into_std());
                let place = match pool.try_admit(Instant::now().into_std(), until) {
                    Some(place) => Ok(place),
                    None => Arc::clone(pool).admit(class, until).await,
                };
                let Ok(place) = place else { return End::Refused };
                let served = self.serve(deadline, service).await;
                let status = if served { StatusCode::OK } else { StatusCode::GATEWAY_TIMEOUT };
                place.end(Instant::now().into_std(), status);
                if served && Instant::now() <= deadline { End::Answered } else { End::Late }
            }
            Gate::Vegas(limiter) => {
                let Some(token) = limiter.acquire_timeout(Duration::from_millis(50)).await else { return End::Refused };
                let served = self.serve(deadline, service).await;
                limiter.release(token, Some(if served { Outcome::Success } else { Outcome::Overload })).await;
                if served && Instant::now() <= deadline { End::Answered } else { End::Late }
            }
        }
    }

    /// Whether it was done; a handler that computes is done even where nobody waits any more.
    async fn serve(&self, deadline: Instant, service: Duration) -> bool {
        let Ok(server) = timeout_at(deadline, self.servers.acquire()).await else { return false };
        let _server = server.expect("never closed");
        let work = sleep(service);
        if self.handler != Handler::Holds {
            work.await;
            return true;
        }
        timeout_at(deadline, work).await.is_ok()
    }
}

/// Open-loop Poisson arrivals. As many requests are critical as make up two fifths of the capacity, or a fifth of
/// the load where that is less; a tenth is sheddable.
async fn run(run: Run<'_>) -> Vec<Figures> {
    let (times, capacity) = (run.handler.times(), run.handler.capacity());
    let world = Arc::new(World::new(run.handler, run.admission));
    let mut random = Rng::with_seed(run.seed);
    let figures = Arc::new(Mutex::new(vec![Figures::default(); run.phases.len()]));
    let (mut clients, mut at) = (JoinSet::new(), Instant::now());
    for (phase, (load, seconds, slower)) in run.phases.iter().copied().enumerate() {
        let end = at + Duration::from_secs(seconds);
        loop {
            at += Duration::from_secs_f64(-random.f64().max(1e-12).ln() / (load * capacity));
            if at >= end {
                break;
            }
            sleep_until(at).await;
            let class = match random.f64() {
                lot if lot < (0.4 / load).min(0.2) => Class::Critical,
                lot if lot > 0.9 => Class::Sheddable,
                _ => Class::Normal,
            };
            let service = times[random.usize(..times.len())] * slower;
            let (world, figures, mut random) = (Arc::clone(&world), Arc::clone(&figures), random.fork());
            clients.spawn(async move {
                let (mut answers, mut refusals) = (Vec::new(), Vec::new());
                for attempt in 0..=run.retries {
                    if attempt > 0 {
                        sleep(Duration::from_millis(random.u64(10..50))).await;
                    }
                    let begun = Instant::now();
                    match world.attempt(class, service).await {
                        End::Answered => {
                            answers.push(begun.elapsed());
                            break;
                        }
                        End::Refused => refusals.push(begun.elapsed()),
                        End::Late => {}
                    }
                }
                let mut figures = figures.lock().expect("the figures");
                let (figures, answered) = (&mut figures[phase], answers.len());
                figures.asked += 1;
                figures.answered += answered;
                figures.refused += refusals.len();
                figures.answers.extend(answers);
                figures.refusals.extend(refusals);
                if class == Class::Critical {
                    figures.critical = (figures.critical.0 + answered, figures.critical.1 + 1);
                }
            });
        }
        at = end;
        while clients.try_join_next().is_some() {}
    }
    clients.join_all().await;
    let mut figures = figures.lock().expect("the figures").clone();
    for (figures, (_, seconds, slower)) in figures.iter_mut().zip(run.phases) {
        let most = (capacity / f64::from(*slower) * *seconds as f64).min(figures.asked as f64);
        figures.goodput = figures.answered as f64 / most;
        figures.answers.sort();
        figures.refusals.sort();
    }
    figures
}

/// In milliseconds; 0 of none.
fn p99(sorted: &[Duration]) -> u128 {
    sorted.get(sorted.len() * 99 / 100).map_or(0, Duration::as_millis)
}
