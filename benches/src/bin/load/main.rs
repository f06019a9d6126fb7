//! The load: one thread, one epoll, requests that are written whole and answers that are read whole.
//!
//! `load ADDRESS closed CONNECTIONS SECONDS` asks again at each answer; `load ADDRESS count CONNECTIONS REQUESTS` does
//! so a number of times; `load ADDRESS open CONNECTIONS SECONDS RATE` asks at fixed instants and measures from them, so
//! that a slow server does not slow its own clock; `load ADDRESS hold CONNECTIONS` asks once on each connection, says
//! so, and keeps them until its input ends, `load ADDRESS hold2 CONNECTIONS` likewise by HTTP/2; `load ADDRESS tls SECONDS
//! new|resumed CERTIFICATE` makes handshakes, with one request each; `load ADDRESS start CPU GROUP PATH COMMAND...` starts
//! a server on a CPU, in a control group or in `-`, none, and tells when it answered.

mod http2;
mod start;
mod tls;

use std::{
    collections::VecDeque,
    error::Error,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    resource::{Resource, getrlimit, setrlimit},
};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nhost: bench.test\r\nuser-agent: load\r\naccept: */*\r\n\r\n";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let number = |at: usize| -> Outcome<f64> { Ok(arguments.get(at).ok_or("an argument is missing")?.parse()?) };
    let mode = arguments.first().ok_or("a mode is missing")?;
    let result = match mode.as_str() {
        "start" => start::start(to_count(number(1)?), &arguments[2..])?,
        "hold2" => hold2(to_count(number(1)?))?,
        "tls" => {
            let [_, _, kind, file] = &arguments[..] else { return Err("an argument is missing".into()) };
            tls::handshakes(Duration::from_secs_f64(number(1)?), kind == "resumed", file)?
        }
        mode => {
            let mut clients = Clients::open(to_count(number(1)?))?;
            match mode {
                "closed" => clients.closed(Some(Duration::from_secs_f64(number(2)?)), usize::MAX)?,
                "count" => clients.closed(None, to_count(number(2)?))?,
                "open" => clients.open_loop(Duration::from_secs_f64(number(2)?), number(3)?)?,
                "hold" => clients.hold()?,
                _ => return Err(format!("no mode {mode}").into()),
            }
        }
    };
    println!("{result}");
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers from a command line")]
fn to_count(number: f64) -> usize {
    number as usize
}

/// As many connections as the system lets this process have.
fn allow_files() -> Outcome<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

fn hold2(count: usize) -> Outcome<Value> {
    allow_files()?;
    let held: Vec<TcpStream> = (0..count).map(|_| http2::connect()).collect::<Result<_, _>>()?;
    hold(held.len())
}

/// Says that the connections are there, and waits for the end of the input.
fn hold(count: usize) -> Outcome<Value> {
    println!("{}", json!({ "held": count }));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(json!({ "closed": count }))
}

struct Client {
    stream: TcpStream,
    asked: Instant,
}

struct Clients {
    epoll: Epoll,
    all: Vec<Client>,
    /// Microseconds of each answer.
    times: Vec<u32>,
    answer: Vec<u8>,
}

impl Clients {
    fn open(count: usize) -> Outcome<Self> {
        allow_files()?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut all = Vec::with_capacity(count);
        for at in 0..count {
            let mut stream = TcpStream::connect(bench::address())?;
            stream.set_nodelay(true)?;
            // Once around, so that no measurement holds an accept.
            stream.write_all(REQUEST)?;
            let mut answer = [0; 4096];
            let length = stream.read(&mut answer)?;
            if !answer[..length].starts_with(b"HTTP/1.1 200") || !answer[..length].ends_with(bench::BODY.as_bytes()) {
                return Err(format!("not the answer: {}", String::from_utf8_lossy(&answer[..length])).into());
            }
            stream.set_nonblocking(true)?;
            epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, at as u64))?;
            all.push(Client { stream, asked: Instant::now() });
        }
        Ok(Self { epoll, all, times: Vec::new(), answer: vec![0; 4096] })
    }

    fn ask(&mut self, at: usize, asked: Instant) -> Outcome<()> {
        let client = &mut self.all[at];
        client.asked = asked;
        Ok(client.stream.write_all(REQUEST)?)
    }

    /// Whether the answer of `at` is there. It comes whole: it is small, and written at once.
    fn answered(&mut self, at: usize) -> Outcome<bool> {
        let client = &mut self.all[at];
        match client.stream.read(&mut self.answer) {
            Ok(0) => Err("the server closed a connection".into()),
            Ok(length) if self.answer[..length].ends_with(bench::BODY.as_bytes()) => {
                self.times.push(u32::try_from(client.asked.elapsed().as_micros()).unwrap_or(u32::MAX));
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn closed(&mut self, time: Option<Duration>, requests: usize) -> Outcome<Value> {
        let begun = Instant::now();
        let mut asked = self.all.len().min(requests);
        for at in 0..asked {
            self.ask(at, Instant::now())?;
        }
        let mut events = vec![EpollEvent::empty(); 1024];
        while self.times.len() < asked {
            let count = self.epoll.wait(&mut events, EpollTimeout::NONE)?;
            let over = time.is_some_and(|time| begun.elapsed() >= time);
            for event in &events[..count] {
                let at = usize::try_from(event.data())?;
                if self.answered(at)? && !over && asked < requests {
                    asked += 1;
                    self.ask(at, Instant::now())?;
                }
            }
        }
        Ok(self.report(begun.elapsed()))
    }

    fn open_loop(&mut self, time: Duration, rate: f64) -> Outcome<Value> {
        let begun = Instant::now();
        let mut free: VecDeque<usize> = (0..self.all.len()).collect();
        let mut events = vec![EpollEvent::empty(); 1024];
        let mut asked = 0_u32;
        loop {
            let due = begun + Duration::from_secs_f64(f64::from(asked) / rate);
            let over = due >= begun + time;
            if over && free.len() == self.all.len() {
                return Ok(self.report(begun.elapsed()));
            }
            if !over
                && due <= Instant::now()
                && let Some(at) = free.pop_front()
            {
                asked += 1;
                self.ask(at, due)?;
                continue;
            }
            // Spins: a timer's slack would be measured as the server's.
            let count = self.epoll.wait(&mut events, EpollTimeout::ZERO)?;
            for event in &events[..count] {
                let at = usize::try_from(event.data())?;
                if self.answered(at)? {
                    free.push_back(at);
                }
            }
        }
    }

    fn hold(&mut self) -> Outcome<Value> {
        hold(self.all.len())
    }

    fn report(&mut self, elapsed: Duration) -> Value {
        self.times.sort_unstable();
        let at = |per_mille: usize| self.times.get(self.times.len().saturating_sub(1) * per_mille / 1000);
        json!({
            "requests": self.times.len(), "seconds": elapsed.as_secs_f64(),
            "p50": at(500), "p90": at(900), "p99": at(990), "p999": at(999), "max": self.times.last(),
        })
    }
}
