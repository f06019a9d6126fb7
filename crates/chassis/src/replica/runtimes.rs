//! The threads that run requests, as many as the CPU allows.
//!
//! Next: [`super::resize`].

use std::{io, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::StartError;
use crate::{
    process::Resources,
    runtime::{Settings, WorkRuntime},
    telemetry::{Scope, Telemetry},
};

/// The runtimes of requests, and what they were sized by.
pub(super) struct Runtimes {
    pub(super) io: Runtime,
    pub(super) work: WorkRuntime,
    pub(super) resources: Resources,
}

impl Runtimes {
    /// Reads CPU and memory, and starts the threads.
    pub(super) fn start(settings: &Settings, telemetry: &Telemetry) -> Result<Self, StartError> {
        let resources = Resources::read();
        resources.register(telemetry.registry()).map_err(super::start::metrics)?;
        let allowance = resources.get();
        let failed = |name: &str, error| StartError::new(format!("starting the {name} runtime"), error);
        let scope = telemetry.scope();
        let io = build("io", settings.io_threads(allowance), scope.clone()).map_err(|error| failed("io", error))?;
        let more = Box::new(move |threads| build("work", threads, scope.clone()));
        let work = WorkRuntime::start(settings.work_threads(allowance), more).map_err(|error| failed("work", error))?;
        let (handle, all) = (io.handle().clone(), work.clone());
        telemetry.watch_runtime("io", move || vec![handle.clone()]);
        telemetry.watch_runtime("work", move || all.handles());
        Ok(Self { io, work, resources })
    }

    /// Waits that long for workers that are blocked.
    pub(super) fn shutdown(self, timeout: Duration) {
        self.io.shutdown_timeout(timeout);
        self.work.shutdown(timeout);
    }
}

fn build(name: &'static str, threads: usize, scope: Option<Scope>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(scope) = scope {
        builder.on_thread_start(move || scope.enter());
    }
    builder.worker_threads(threads).thread_name(name).enable_all().build()
}
