//! Logs each panic as one line, with its location and thread.
//!
//! A panic on a request's thread never blocks: the line goes into the sink like any other. Names in a backtrace come
//! from the program's symbol tables, which take a second and keep tens of megabytes. So there is a backtrace only
//! if `RUST_BACKTRACE` is set: its addresses are captured at the panic, its names are resolved on a thread of their
//! own, and it is a line of its own.
//!
//! Next: [`super::sink`], which writes it.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, Write as _},
    panic::{self, PanicHookInfo},
    sync::{
        Arc, Once,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use super::{Lookup, format::Format, scope, sink::Sink};
use crate::{
    request::{self, RequestContext},
    tasks,
};

/// How long a thread whose panic may end the process waits for its line.
const FLUSH: Duration = Duration::from_millis(100);
/// 16: more than anyone reads; the panic lines themselves continue.
const BACKTRACES: u32 = 16;
/// Messages of the standard library for panics that abort the process.
const ABORTS: [&str; 2] = ["panic in a destructor during cleanup", "panic in a function that cannot unwind"];

/// Installs the hook for the whole process.
pub(super) fn install(sink: Sink, format: Format, environment: Lookup<'_>) {
    let resolver = wants_backtraces(environment).then(|| Resolver::start(format)).and_then(Result::ok);
    panic::set_hook(Box::new(move |info| {
        log(info);
        if let Some(resolver) = &resolver {
            resolver.capture(info);
        }
        if may_end_the_process(info) {
            let _ = sink.flush(FLUSH);
        }
    }));
}

/// Logs the panics of threads with a [`Scope`](super::Scope) in their own logs; the others go where they went before.
pub(super) fn share() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| if scope::is_entered() { log(info) } else { previous(info) }));
    });
}

/// As the standard library reads them.
fn wants_backtraces(environment: Lookup<'_>) -> bool {
    let wanted = environment("RUST_LIB_BACKTRACE").or_else(|| environment("RUST_BACKTRACE"));
    wanted.is_some_and(|value| value != "0")
}

/// No request runs on the main thread or on that of the app's start, and an abort leaves no time later.
fn may_end_the_process(info: &PanicHookInfo<'_>) -> bool {
    matches!(thread::current().name(), Some("main" | "start")) || ABORTS.contains(&message(info.payload()))
}

fn log(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    tracing::error!(
        target: "panic",
        location = place(info),
        thread = thread.name().unwrap_or("unnamed"),
        task = tasks::current(),
        "{}",
        message(info.payload())
    );
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map(ToString::to_string).unwrap_or_default()
}

/// The panic's message, if it is text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panicked with a non-text value")
}

/// Finds the names in backtraces, one at a time: the standard library has one lock for taking a backtrace and for naming
/// it, so a second panic would wait for the first one's names.
struct Resolver {
    jobs: SyncSender<Job>,
    is_busy: Arc<AtomicBool>,
    left: AtomicU32,
}

struct Job {
    backtrace: Backtrace,
    location: String,
    request: Option<Arc<RequestContext>>,
}

impl Resolver {
    fn start(format: Format) -> io::Result<Self> {
        let (jobs, coming) = sync_channel::<Job>(1);
        let is_busy = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_busy);
        thread::Builder::new().name("backtraces".into()).spawn(move || {
            for job in coming {
                job.write(format);
                done.store(false, Release);
            }
        })?;
        Ok(Self { jobs, is_busy, left: AtomicU32::new(BACKTRACES) })
    }

    fn capture(&self, info: &PanicHookInfo<'_>) {
        if self.left.load(Relaxed) == 0 || self.is_busy.compare_exchange(false, true, AcqRel, Acquire).is_err() {
            return;
        }
        self.left.fetch_sub(1, Relaxed);
        let job = Job { backtrace: Backtrace::capture(), location: place(info), request: request::current() };
        // There is room: one at a time.
        let _ = self.jobs.try_send(job);
    }
}

impl Job {
    fn write(self, format: Format) {
        if self.backtrace.status() != BacktraceStatus::Captured {
            return;
        }
        let Self { backtrace, location, request } = self;
        let line = || tracing::error!(target: "panic", location, %backtrace, "backtrace of a panic");
        match (format, request) {
            // People read it in lines of its own.
            (Format::Text(_), _) => _ = writeln!(io::stderr(), "backtrace of the panic at {location}:\n{backtrace}"),
            (Format::Json, Some(request)) => request::enter(&request, line),
            (Format::Json, None) => line(),
        }
    }
}

/// Panics with `text` and catches it, with the hook in place for this thread only.
#[cfg(test)]
pub(super) fn test_panic(text: &'static str) {
    let own = thread::current().id();
    let previous = Arc::new(panic::take_hook());
    let others = Arc::clone(&previous);
    panic::set_hook(Box::new(move |info| if thread::current().id() == own { log(info) } else { others(info) }));
    let caught = panic::catch_unwind(|| panic!("{text}"));
    panic::set_hook(Box::new(move |info| previous(info)));
    assert_eq!(message(&*caught.unwrap_err()), text);
}
