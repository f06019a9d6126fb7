//! Panics become one log line, with their place, thread and backtrace.

use std::{
    any::Any,
    backtrace::Backtrace,
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

use super::sink::Sink;

/// How long a panicking thread waits for its line: the process may be about to abort.
const FLUSH: Duration = Duration::from_millis(100);

/// Installs the hook for the whole process. It replaces the default one, so nothing goes to stderr besides.
pub(super) fn install(sink: Sink) {
    panic::set_hook(Box::new(move |info| {
        log(info);
        let _ = sink.flush(FLUSH);
    }));
}

fn log(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let backtrace = Backtrace::force_capture();
    tracing::error!(
        target: "panic",
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = %backtrace,
        "{}",
        message(info.payload())
    );
}

/// What a panic said, where it said it in text.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panicked with a value that is no text")
}
