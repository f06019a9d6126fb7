//! The clock: sources send requests in a fixed order, and between them happens what else is due.
//!
//! Next: [`super::view`].

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use fastrand::Rng;
use tokio::time::Instant;

use super::{
    Change, Micros, Pick, Plan, SECOND, Spreads, Work, micros,
    record::{Record, second},
    replica::Replica,
    rollout::Rollout,
    view::View,
};
use crate::{connection::Limits, lifecycle::Lifecycle};

/// What is due at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// By its number in the plan.
    Change(usize),
    Ready(usize),
    Available(usize),
    Joins {
        view: usize,
        replica: usize,
    },
    Leaves {
        view: usize,
        replica: usize,
    },
    Second,
}

#[derive(Debug)]
struct Connection {
    replica: usize,
    /// 0 to 1, as each connection of a replica draws once.
    draw: f32,
    ages_at: Option<Micros>,
}

/// A run, as far as it has come.
pub(super) struct World {
    plan: Plan,
    rng: Rng,
    now: Micros,
    /// Only differences from it count.
    epoch: Instant,
    events: BinaryHeap<Reverse<(Micros, usize, Event)>>,
    replicas: Vec<Replica>,
    views: Vec<View>,
    /// The connection of each source, where connections are spread.
    kept: Vec<Option<Connection>>,
    rollout: Option<Rollout>,
    record: Record,
}

impl Plan {
    /// What is seen when it happens.
    pub(super) fn run(self) -> Record {
        let end = self.seconds as Micros * SECOND;
        let every = micros(self.every);
        let mut world = World::new(self);
        let order = world.order();
        for at in (0..).map(|round| round * every).take_while(|at| *at < end) {
            for (phase, source) in &order {
                world.advance(at + phase);
                world.request(*source);
            }
        }
        world.record
    }
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut rng = Rng::with_seed(plan.seed);
        let epoch = Instant::now();
        // The slowest has the whole lag, the first a share of it.
        let lag = |view: usize| micros(plan.lag) * (view as Micros + 1) / plan.views as Micros;
        let mut views: Vec<View> = (0..plan.views).map(|view| View::new(lag(view), &mut rng)).collect();
        let replicas: Vec<Replica> = plan.cpus.iter().map(|cpus| Replica::new(*cpus, epoch, 0)).collect();
        for view in &mut views {
            (0..replicas.len()).for_each(|replica| view.join(replica, &mut rng));
        }
        let kept = (0..plan.sources).map(|_| None).collect();
        let (events, record) = (BinaryHeap::new(), Record::default());
        let mut world = Self { plan, rng, now: 0, epoch, events, replicas, views, kept, rollout: None, record };
        for (number, (at, _)) in world.plan.changes.clone().into_iter().enumerate() {
            world.due(at, Event::Change(number));
        }
        world.due(Duration::from_secs(1), Event::Second);
        if world.plan.settled && world.plan.spreads == Spreads::Connections {
            world.settle();
        }
        world
    }

    /// Connections of all ages, as in a fleet that has run for long.
    fn settle(&mut self) {
        for source in 0..self.plan.sources {
            let mut connection = self.open(source).expect("a replica at the start");
            connection.ages_at = connection.ages_at.map(|at| scaled(at, self.rng.f64()));
            self.kept[source] = Some(connection);
        }
        self.record = Record::default();
    }

    /// When each source sends within a round: anywhere.
    fn order(&mut self) -> Vec<(Micros, usize)> {
        let every = micros(self.plan.every);
        let mut order: Vec<_> = (0..self.plan.sources).map(|source| (self.rng.u64(..every), source)).collect();
        order.sort_unstable();
        order
    }

    fn due(&mut self, after: Duration, event: Event) {
        self.events.push(Reverse((self.now + micros(after), self.events.len(), event)));
    }

    /// Everything that happens until `at`.
    fn advance(&mut self, at: Micros) {
        while self.events.peek().is_some_and(|Reverse((due, ..))| *due <= at) {
            let Reverse((due, _, event)) = self.events.pop().expect("an event");
            self.now = due;
            self.happen(event);
        }
        self.now = at;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Change(number) => self.change(self.plan.changes[number].1),
            Event::Ready(replica) => self.ready(replica),
            Event::Available(_) => self.available(),
            Event::Joins { view, replica } => self.views[view].join(replica, &mut self.rng),
            Event::Leaves { view, replica } => self.views[view].leave(replica),
            Event::Second => self.second(),
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Add(count) => (0..count).for_each(|_| {
                let replica = self.add();
                self.ready(replica);
            }),
            Change::Roll(strategy) => {
                self.rollout = Some(Rollout::new(strategy, 0..self.replicas.len()));
                self.start();
            }
            Change::Cpus(replica, cpus) => self.replicas[replica].cpus = cpus,
        }
    }

    fn add(&mut self) -> usize {
        self.replicas.push(Replica::new(1.0, self.epoch, self.now));
        self.replicas.len() - 1
    }

    fn ready(&mut self, replica: usize) {
        self.tell(|view| Event::Joins { view, replica });
        if let Some(rollout) = &self.rollout {
            self.due(rollout.strategy.min_ready, Event::Available(replica));
        }
    }

    /// Each view hears of it after its lag.
    fn tell(&mut self, event: impl Fn(usize) -> Event) {
        for view in 0..self.views.len() {
            self.due(Duration::from_micros(self.views[view].lag), event(view));
        }
    }

    /// Starts what the rollout may start. No two replicas take the same time.
    fn start(&mut self) {
        let Some(rollout) = &mut self.rollout else { return };
        let (count, start) = (rollout.starts(), rollout.strategy.start);
        for _ in 0..count {
            let replica = self.add();
            let luck = 0.8 + 0.4 * self.rng.f64();
            self.due(start.mul_f64(luck), Event::Ready(replica));
        }
    }

    fn available(&mut self) {
        let Some(rollout) = &mut self.rollout else { return };
        let Some(old) = rollout.replaced() else { return };
        if rollout.is_done() {
            self.record.rolled = Some(second(self.now));
        }
        self.drain(old);
        self.start();
    }

    fn drain(&mut self, replica: usize) {
        self.replicas[replica].drains_at = Some(self.now);
        self.replicas[replica].stops_at = Some(self.now + micros(self.plan.drain_delay));
        self.tell(|view| Event::Leaves { view, replica });
    }

    /// Balancers weigh by what was told a second ago; then the replicas measure.
    fn second(&mut self) {
        self.due(Duration::from_secs(1), Event::Second);
        if !matches!(self.plan.pick, Pick::LoadReport | Pick::Agent) {
            return;
        }
        for view in &mut self.views {
            view.weigh(self.plan.pick, self.now, |replica| self.replicas[replica].load);
        }
        for replica in &mut self.replicas {
            replica.measure(self.epoch, self.now);
        }
    }

    fn request(&mut self, source: usize) {
        match self.plan.spreads {
            Spreads::Requests => {
                let view = source % self.views.len();
                match self.choose(view) {
                    Some(replica) => self.send(view, replica),
                    None => self.record.lose(self.now),
                }
            }
            Spreads::Connections => self.request_on_connection(source),
        }
    }

    /// A connection that was idle when its replica stopped was closed then, and the client has seen it.
    fn request_on_connection(&mut self, source: usize) {
        let (now, replicas) = (self.now, &self.replicas);
        let kept = self.kept[source].take().filter(|kept| !replicas[kept.replica].has_stopped(now));
        let Some(connection) = kept.or_else(|| self.open(source)) else {
            self.record.lose(self.now);
            return;
        };
        self.send(source % self.views.len(), connection.replica);
        if !self.ends(&connection) {
            self.kept[source] = Some(connection);
        }
    }

    /// None if it meets a replica that accepts no more.
    fn open(&mut self, source: usize) -> Option<Connection> {
        let replica = self.choose(source % self.views.len())?;
        let draw = self.rng.f32();
        let age = Limits::lifetime(self.plan.age, draw);
        self.record.open(self.now);
        Some(Connection { replica, draw, ages_at: age.map(|age| self.now + micros(age)) })
    }

    fn choose(&mut self, view: usize) -> Option<usize> {
        let replica = self.views[view].choose(self.plan.pick, self.now, &mut self.rng)?;
        (!self.replicas[replica].has_stopped(self.now)).then_some(replica)
    }

    fn send(&mut self, view: usize, replica: usize) {
        let luck = if self.plan.work == Work::Nothing { 1.0 } else { 0.5 + self.rng.f64() };
        match self.replicas[replica].serve(self.now, self.plan.work, luck) {
            Some(done_at) => {
                self.record.serve(replica, self.now, done_at);
                if self.plan.pick == Pick::LeastOfTwo {
                    self.views[view].sent(replica, done_at);
                }
            }
            None => self.record.refuse(self.now),
        }
    }

    /// Whether the response says close: the connection is past its age, or asked to close by the drain.
    fn ends(&self, connection: &Connection) -> bool {
        let asked = self.replicas[connection.replica]
            .drains_at
            .map(|at| at + micros(Lifecycle::asks_after(self.plan.drain_delay, connection.draw)));
        let past = |at: Option<Micros>| at.is_some_and(|at| at <= self.now);
        past(connection.ages_at) || past(asked)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a time")]
fn scaled(time: Micros, by: f64) -> Micros {
    (time as f64 * by) as Micros
}
