//! The service inside uWSGI: its stock `symcall` plugin loads this library and calls two of its symbols, one after each
//! fork and one for each request.
//!
//! ```text
//! uwsgi --master --lazy-apps --need-app --plugin 0:symcall --dlopen libuwsgi_plugin.so
//!       --symcall service_request --symcall-post-fork service_start --hook-as-user-atexit call:service_stop
//! ```
//! uWSGI owns the sockets, the workers, reload and shutdown; the routes, the middleware and the settings are the
//! service's own. Threads start after the fork, since threads do not survive one. It refuses a uWSGI with an unknown
//! request layout.
//!
//! `unsafe` is used in [`api`] and in the exported symbols, and nowhere else in this repository.
//!
//! Next: [`serve`].

mod api;
mod layout;
mod serve;
mod wanted;

use std::{fmt, process::exit, sync::OnceLock};

use chassis::{
    Chassis,
    config::{AppSettings, Environment, Sources, cli},
    replica::Embedded,
    router::Router,
};
use nix::sys::signal::{SigSet, SigmaskHow};

use self::api::{Api, Request};

/// The opaque request that uWSGI passes to a handler.
pub type Raw = *mut std::ffi::c_void;

/// What runs in this worker.
struct Worker {
    api: Api,
    app: Embedded,
}

static WORKER: OnceLock<Worker> = OnceLock::new();

/// uWSGI's own code for an app that could not be loaded: with `--lazy-apps --need-app` it ends then, instead of forking
/// such workers for ever.
const NOT_LOADED: i32 = 22;

/// Starts `app` in this process. On failure it prints the reason and ends the worker.
///
/// # Panics
/// Never.
pub fn start<S, F, E>(app: F)
where
    S: AppSettings,
    F: AsyncFnOnce(&S, &Chassis) -> Result<Router, E> + Send + 'static,
    E: fmt::Display,
{
    let worker = Api::find().and_then(|api| {
        let sources = Sources::new(cli::Options::default(), Environment::capture());
        let identity = service::SERVICE.identity(&sources.environment);
        let app = undisturbed(|| Embedded::start(sources, identity, app))?;
        Ok(Worker { api, app: app.map_err(|error| error.to_string())? })
    });
    match worker {
        // uWSGI calls it once in each process.
        Ok(worker) => drop(WORKER.set(worker)),
        Err(error) => {
            eprintln!("uwsgi-plugin: {error}");
            exit(NOT_LOADED);
        }
    }
}

/// Runs `start` with all signals blocked, for the threads that it starts: uWSGI's handlers look for the request of the
/// thread that they interrupt, and end the worker where it has none (seen: a segmentation fault at a reload).
fn undisturbed<T>(start: impl FnOnce() -> T) -> Result<T, String> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let before = before.map_err(|error| format!("blocking signals: {error}"))?;
    let started = start();
    before.thread_set_mask().map_err(|error| format!("unblocking signals: {error}"))?;
    Ok(started)
}

/// Handles a request and returns a code for uWSGI.
///
/// # Safety
/// `raw` is what uWSGI passed to its handler of requests, which has not returned yet.
pub unsafe fn request(raw: Raw) -> i32 {
    let Some(worker) = WORKER.get() else {
        eprintln!("uwsgi-plugin: not started: --symcall-post-fork is missing");
        return FAILED;
    };
    // SAFETY: the caller's promise is the same.
    let request = unsafe { Request::new(&worker.api, raw) };
    match serve::serve(&worker.app, request) {
        Ok(()) => DONE,
        Err(serve::Lost) => FAILED,
    }
}

/// Ends background tasks and flushes telemetry.
pub fn stop() {
    if let Some(worker) = WORKER.get() {
        worker.app.stop();
    }
}

/// `UWSGI_OK`.
const DONE: i32 = 0;
/// The code of uWSGI's own plugins for a lost request.
const FAILED: i32 = -1;

/// Exports an app under three symbols: what is called after the fork, for each request, and at the end.
#[macro_export]
macro_rules! export {
    ($start:ident, $request:ident, $stop:ident, $settings:ty, $app:expr) => {
        /// For `--symcall-post-fork`.
        #[unsafe(no_mangle)]
        pub extern "C" fn $start() {
            $crate::start::<$settings, _, _>($app);
        }

        /// For `--symcall`.
        ///
        /// # Safety
        /// uWSGI alone calls it, with its request.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $request(request: $crate::Raw) -> i32 {
            // SAFETY: uWSGI passes a request of its own, and waits for the return.
            unsafe { $crate::request(request) }
        }

        /// For `--hook-as-user-atexit call:`.
        #[unsafe(no_mangle)]
        pub extern "C" fn $stop() {
            $crate::stop();
        }
    };
}

export!(service_start, service_request, service_stop, service::app::Settings, service::app::router);
