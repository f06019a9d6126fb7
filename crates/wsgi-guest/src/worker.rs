//! The callable, and the service behind it: one for each process, started by its first request. A process that was
//! forked after that is refused.
//!
//! Next: [`crate::exchange`].

use std::{
    fmt::Display,
    process,
    sync::{Arc, Mutex, PoisonError},
};

use chassis::{
    Chassis,
    config::{self, AppSettings, Environment, Sources, cli::Options},
    replica::{Embedded, StartError},
    router::Router,
};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyCFunction, PyDict},
};

use crate::exchange;

type Start = dyn Fn() -> Result<Embedded, StartError> + Send + Sync;

/// A WSGI callable.
#[pyclass(frozen, module = "service")]
pub struct Application {
    start: Box<Start>,
    started: Mutex<Option<Started>>,
}

struct Started {
    process: u32,
    service: Arc<Embedded>,
}

impl Application {
    /// Serves `app`, with the settings of the environment.
    ///
    /// # Errors
    /// If settings are invalid; each one is named.
    pub fn new<A, F, E>(app: F) -> PyResult<Self>
    where
        A: AppSettings,
        F: AsyncFn(&A, &Chassis) -> Result<Router, E> + Send + Sync + 'static,
        E: Display,
    {
        let sources = || Sources::new(Options::default(), Environment::capture());
        if let Err(problems) = config::load::<A>(&sources()) {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Err(PyRuntimeError::new_err(lines.join("\n")));
        }
        let app = Arc::new(app);
        let start = move || {
            let (sources, app) = (sources(), Arc::clone(&app));
            let identity = service::SERVICE.identity(&sources.environment);
            Embedded::start(sources, identity, async move |settings: &A, chassis: &Chassis| {
                app(settings, chassis).await
            })
        };
        Ok(Self { start: Box::new(start), started: Mutex::default() })
    }

    /// The service of this process, started now if it has none.
    fn service(&self, py: Python<'_>) -> PyResult<Arc<Embedded>> {
        // With the interpreter released: a start takes a moment, and other threads may wait for it.
        let (service, is_new) = py
            .detach(|| {
                let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
                match &*started {
                    Some(known) if known.process == process::id() => Ok((Arc::clone(&known.service), false)),
                    // The parent's threads do not exist here, and their locks stay locked forever.
                    Some(_) => {
                        Err(StartError::new("starting in a forked process", "its parent had served requests already"))
                    }
                    None => {
                        let service = Arc::new((self.start)()?);
                        *started = Some(Started { process: process::id(), service: Arc::clone(&service) });
                        Ok((service, true))
                    }
                }
            })
            .map_err(|error: StartError| PyRuntimeError::new_err(error.to_string()))?;
        if is_new {
            stop_at_exit(py, &service)?;
        }
        Ok(service)
    }
}

#[pymethods]
impl Application {
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        environ: &Bound<'py, PyDict>,
        start_response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let service = self.service(py)?;
        exchange::run(&service, environ, start_response)
    }
}

/// Ends background tasks and flushes telemetry when the worker ends.
fn stop_at_exit(py: Python<'_>, service: &Arc<Embedded>) -> PyResult<()> {
    let (service, owner) = (Arc::clone(service), process::id());
    let stop = PyCFunction::new_closure(py, None, None, move |arguments, _| {
        if process::id() == owner {
            arguments.py().detach(|| service.stop());
        }
    })?;
    py.import("atexit")?.call_method1("register", (stop,)).map(drop)
}
