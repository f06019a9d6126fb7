//! Panics become one log line, with their place, thread and backtrace.
//!
//! Next: [`super::sink`], which writes it.

use std::{
    any::Any,
    backtrace::Backtrace,
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

use super::{format::Format, sink::Sink};

/// How long a panicking thread waits for its line: the process may be about to abort.
const FLUSH: Duration = Duration::from_millis(100);

/// Installs the hook for the whole process. With JSON the line is all; people get the backtrace from the hook that was
/// there before, in its own lines and where `RUST_BACKTRACE` asks for it.
pub(super) fn install(sink: Sink, format: Format) {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let for_people = format != Format::Json;
        log(info, (!for_people).then(Backtrace::force_capture));
        let _ = sink.flush(FLUSH);
        if for_people {
            previous(info);
        }
    }));
}

fn log(info: &PanicHookInfo<'_>, backtrace: Option<Backtrace>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    tracing::error!(
        target: "panic",
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = backtrace.map(tracing::field::display),
        "{}",
        message(info.payload())
    );
}

/// What a panic said, where it said it in text.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panicked with a value that is no text")
}

/// Panics with `text` and catches it, with the hook in place for this thread only.
#[cfg(test)]
pub(super) fn test_panic(text: &'static str) {
    let own = thread::current().id();
    let previous = std::sync::Arc::new(panic::take_hook());
    let others = std::sync::Arc::clone(&previous);
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == own { log(info, Some(Backtrace::force_capture())) } else { others(info) }
    }));
    let caught = panic::catch_unwind(|| panic!("{text}"));
    panic::set_hook(Box::new(move |info| previous(info)));
    assert_eq!(message(&*caught.unwrap_err()), text);
}
