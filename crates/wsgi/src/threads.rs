//! The threads that run Python, and the queue in front of them.
//!
//! Each attaches to the interpreter once, when it starts. If it attached for each request, Python would see a new
//! thread each time: what the application keeps for a thread would be lost, and a connection to a database opened for
//! each request.
//!
//! Next: [`crate::exchange`].

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use http::{Response, request::Parts};
use pyo3::prelude::*;
use tokio::{runtime::Handle, sync::oneshot};

use crate::{Around, Body, Connection, Failure, RequestBody, Settings, exchange};

/// A request on its way to a thread.
pub(crate) struct Job {
    pub(crate) parts: Parts,
    /// None where there is none.
    pub(crate) body: Option<RequestBody>,
    pub(crate) connection: Connection,
    pub(crate) around: Box<dyn Around>,
    pub(crate) reply: oneshot::Sender<Response<Body>>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    queued: AtomicU64,
    busy: AtomicU64,
}

pub(crate) struct Threads {
    jobs: SyncSender<Job>,
    counts: Arc<Counts>,
}

impl Threads {
    pub(crate) fn start(settings: &Settings, callable: &Arc<Py<PyAny>>, runtime: &Handle) -> io::Result<Self> {
        // Each thread holds one that has left the queue.
        let (jobs, waiting) = sync_channel(settings.queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let counts = Arc::new(Counts::default());
        for number in 0..settings.threads {
            let worker = Worker {
                waiting: Arc::clone(&waiting),
                counts: Arc::clone(&counts),
                callable: Arc::clone(callable),
                runtime: runtime.clone(),
            };
            thread::Builder::new().name(format!("python-{number}")).spawn(move || worker.run())?;
        }
        Ok(Self { jobs, counts })
    }

    pub(crate) fn hand_over(&self, job: Job) -> Result<(), Failure> {
        self.counts.queued.fetch_add(1, Relaxed);
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.counts.requests.fetch_add(1, Relaxed);
                Ok(())
            }
            Err(refused) => {
                self.counts.queued.fetch_sub(1, Relaxed);
                Err(match refused {
                    TrySendError::Full(_) => Failure::Full,
                    TrySendError::Disconnected(_) => Failure::Failed,
                })
            }
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.counts.requests.load(Relaxed)
    }

    pub(crate) fn queued(&self) -> u64 {
        self.counts.queued.load(Relaxed)
    }

    pub(crate) fn busy(&self) -> u64 {
        self.counts.busy.load(Relaxed)
    }
}

struct Worker {
    waiting: Arc<Mutex<Receiver<Job>>>,
    counts: Arc<Counts>,
    callable: Arc<Py<PyAny>>,
    runtime: Handle,
}

impl Worker {
    fn run(self) {
        // Bodies have timers, and what drops them may start a task.
        let _inside = self.runtime.enter();
        Python::attach(|py| {
            while let Some(job) = py.detach(|| self.next()) {
                self.counts.busy.fetch_add(1, Relaxed);
                self.serve(py, job);
                self.counts.busy.fetch_sub(1, Relaxed);
            }
        });
    }

    /// The next job whose caller still waits; none if the application was dropped.
    fn next(&self) -> Option<Job> {
        loop {
            let job = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
            self.counts.queued.fetch_sub(1, Relaxed);
            if !job.reply.is_closed() {
                return Some(job);
            }
        }
    }

    /// A panic ends the request, not the thread.
    fn serve(&self, py: Python<'_>, mut job: Job) {
        let around = std::mem::replace(&mut job.around, Box::new(Nothing));
        let mut job = Some(job);
        let work = AssertUnwindSafe(|| {
            around.run(&mut || {
                if let Some(job) = job.take() {
                    exchange::run(py, &self.callable, job, &self.runtime);
                }
            });
        });
        if catch_unwind(work).is_err() {
            tracing::error!(target: "wsgi", "a request to Python panicked");
        }
    }
}

struct Nothing;

impl Around for Nothing {
    fn run(&self, work: &mut dyn FnMut()) {
        work();
    }
}
