//! A subscriber for the threads of one replica, where a process has several.
//!
//! A process has one global subscriber, and each thread may have one of its own that goes before it. A program uses the
//! first, which costs a request less; replicas in one process use the second.
//!
//! Next: [`super::log`].

use std::{cell::RefCell, sync::OnceLock};

use tracing::{Dispatch, dispatcher, dispatcher::DefaultGuard, subscriber::NoSubscriber};

use super::{Identity, Lookup, Output, Settings, StartError, Telemetry, build, panic};

/// Starts telemetry to `output` for one replica among others in the process: for the threads that enter its
/// [`scope`](Telemetry::scope), of which the present one is the first.
///
/// # Errors
/// When a setting or a standard `OTEL_` variable cannot be used.
pub(crate) fn start_shared(
    settings: &Settings,
    identity: &Identity,
    environment: Lookup<'_>,
    output: Output,
) -> Result<Telemetry, StartError> {
    let (telemetry, dispatch) = build(settings, identity, environment, output)?;
    let scope = Scope::new(dispatch);
    panic::share();
    scope.enter();
    Ok(Telemetry { scope: Some(scope), ..telemetry })
}

thread_local! {
    // For as long as the thread runs.
    static ENTERED: RefCell<Option<(Scope, DefaultGuard)>> = const { RefCell::new(None) };
}

/// The subscriber; cheap to clone.
#[derive(Clone)]
pub(crate) struct Scope(Dispatch);

impl Scope {
    pub(super) fn new(dispatch: Dispatch) -> Self {
        share_callsites();
        Self(dispatch)
    }

    /// The present thread has this subscriber until it ends.
    pub(crate) fn enter(&self) {
        ENTERED.set(Some((self.clone(), dispatcher::set_default(&self.0))));
    }

    /// That of the present thread, for one that it starts.
    pub(crate) fn current() -> Option<Self> {
        ENTERED.with_borrow(|entered| entered.as_ref().map(|(scope, _)| scope.clone()))
    }
}

/// Whether the present thread has a subscriber of its own.
pub(super) fn is_entered() -> bool {
    ENTERED.try_with(|entered| entered.borrow().is_some()).unwrap_or_default()
}

/// Where tracing knows of one subscriber only, a callsite that another thread reaches first is asked of that thread's,
/// which is none, and stays off for the one that wants it. So it always knows of two more, which want nothing.
fn share_callsites() {
    static OTHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    OTHERS.get_or_init(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, thread, time::Duration};

    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;
    use crate::telemetry::{
        format::Format,
        log::LogLayer,
        sink::Sink,
        test::{Captured, counter},
    };

    fn say(who: &str) {
        tracing::info!(who, "said");
    }

    #[test]
    fn a_thread_logs_what_another_without_a_scope_has_said_first() {
        let captured = Captured::default();
        let sink = Sink::start(Box::new(captured.clone()), counter(), counter()).unwrap();
        let (tells, told) = channel();
        let (lets_go, go) = channel();
        let thread = {
            let sink = sink.clone();
            thread::spawn(move || {
                Scope::new(Dispatch::new(Registry::default().with(LogLayer::new(sink, Format::Json)))).enter();
                tells.send(is_entered()).unwrap();
                go.recv().unwrap();
                say("scoped");
            })
        };
        assert!(told.recv().unwrap());
        say("other");
        lets_go.send(()).unwrap();
        thread.join().unwrap();
        assert!(sink.flush(Duration::from_secs(5)));
        assert!(captured.text().contains("scoped") && !captured.text().contains("other"), "{}", captured.text());
        assert!(!is_entered());
    }
}
