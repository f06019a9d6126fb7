//! A Python WSGI application (PEP 3333) in this process, with streaming requests and responses.
//!
//! Python code blocks, so it has its own threads, each attached to the interpreter once for its lifetime: what an
//! application keeps for a thread (`threading.local`, a database's connection) stays. Requests wait for a thread in a
//! bounded queue. A thread releases the interpreter while it waits for work, for a request's body, or for a
//! slow reader.
//!
//! It does not depend on routers, settings and metrics: its caller has them. It uses one interpreter, since Python
//! has one lock for all of it.
//!
//! Next: `threads`, then `exchange`, which is one request.

mod answer;
mod environ;
mod errors;
mod exchange;
mod head;
mod input;
mod load;
mod routes;
mod sending;
mod threads;

pub use answer::{Body, Broken};
pub use environ::Connection;
pub use load::LoadError;

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::{runtime::Handle, sync::oneshot};

use self::threads::{Job, Threads};

/// The application and how to run it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `module:callable`; the callable may be a dotted name.
    pub application: String,
    /// Directories with modules, or virtual environments, in search order.
    pub path: Vec<String>,
    /// Number of requests handled at a time; at least 1.
    pub threads: usize,
    /// Number of requests that may wait in addition.
    pub queue: usize,
}

/// A request's body, of whatever kind.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Runs the work of a request inside the caller's context, such as the id for log lines.
pub trait Around: Send {
    /// Runs `work` once.
    fn run(&self, work: &mut dyn FnMut());
}

/// Why there is no response from the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// All threads are busy, and the queue is full.
    #[error("all Python threads are busy and the queue is full")]
    Full,
    /// The application failed before it responded; the error was logged.
    #[error("the application failed")]
    Failed,
}

/// A loaded application; a cheap handle. Its threads end with the last one.
#[derive(Clone)]
pub struct Application {
    threads: Arc<Threads>,
    routes: Option<Arc<[String]>>,
}

impl Application {
    /// Starts Python, imports the application, and starts its threads. Bodies are read inside `runtime`.
    ///
    /// # Errors
    /// An error in the path, the name or the import.
    pub fn load(settings: &Settings, runtime: &Handle) -> Result<Self, LoadError> {
        let loaded = load::load(settings)?;
        let threads = Threads::start(settings, &loaded.callable, runtime).map_err(LoadError::Threads)?;
        Ok(Self { threads: Arc::new(threads), routes: loaded.routes.map(Into::into) })
    }

    /// The application's response. If it is dropped early, the application's next write fails.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn call<B>(
        &self,
        request: Request<B>,
        connection: Connection,
        around: impl Around + 'static,
    ) -> Result<Response<Body>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let body = if body.is_end_stream() { None } else { Some(body.map_err(Into::into).boxed_unsync()) };
        let (reply, answer) = oneshot::channel();
        self.threads.hand_over(Job { parts, body, connection, around: Box::new(around), reply })?;
        answer.await.map_err(|_| Failure::Failed)
    }

    /// Number of requests passed to Python.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.threads.requests()
    }

    /// Number of requests waiting for a thread.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.threads.queued()
    }

    /// Number of threads handling a request.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.threads.busy()
    }

    /// The paths of the application's routes, `{}` for each parameter; none unless it lists them (Flask and Django do).
    #[must_use]
    pub fn routes(&self) -> Option<&[String]> {
        self.routes.as_deref()
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("routes", &self.routes).finish_non_exhaustive()
    }
}
