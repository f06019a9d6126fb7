//! The log filter, which can change at runtime.
//!
//! Next: [`super::log`].

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use arc_swap::ArcSwap;
use tracing::{Level, Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    filter::Targets,
    layer::{Context, Filter},
};

/// The target of access lines.
pub(super) const ACCESS: &str = "access";

/// Reads and changes the log filter; cheap to clone. Spans for traces do not pass it.
#[derive(Clone)]
pub(crate) struct LogControl(Arc<State>);

struct State {
    current: ArcSwap<(String, Targets)>,
    /// Enabled levels of the target `access`: 0 (off) to 5 (trace). Cached so that a request queries no
    /// subscriber.
    access_levels: AtomicU8,
    access_log: AtomicBool,
}

impl LogControl {
    pub(super) fn new(filter: &str, access_log: bool) -> Result<Self, String> {
        let targets = parse(filter)?;
        Ok(Self(Arc::new(State {
            access_levels: AtomicU8::new(access_levels(&targets)),
            access_log: AtomicBool::new(access_log),
            current: ArcSwap::from_pointee((filter.to_owned(), targets)),
        })))
    }

    /// The active filter, as written.
    #[must_use]
    pub(crate) fn filter(&self) -> String {
        self.0.current.load().0.clone()
    }

    /// Activates `filter`.
    ///
    /// # Errors
    /// If it is not a level or comma-separated `target=level` pairs; the old one stays.
    pub(crate) fn set_filter(&self, filter: &str) -> Result<(), String> {
        let targets = parse(filter)?;
        self.0.access_levels.store(access_levels(&targets), Ordering::Relaxed);
        self.0.current.store(Arc::new((filter.to_owned(), targets)));
        // Call sites remember whether they were enabled.
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    pub(super) fn set_access_log(&self, on: bool) {
        self.0.access_log.store(on, Ordering::Relaxed);
    }

    /// Whether an access line of `level` is wanted.
    pub(super) fn wants_access(&self, level: Level) -> bool {
        self.0.access_log.load(Ordering::Relaxed) && rank(level) <= self.0.access_levels.load(Ordering::Relaxed)
    }
}

impl<S> Filter<S> for LogControl {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::<S>::enabled(&self.0.current.load().1, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        Filter::<S>::callsite_enabled(&self.0.current.load().1, metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0.current.load().1)
    }
}

/// 64: more than anyone writes. Every log line without a cached decision checks all of them.
const MAX_DIRECTIVES: usize = 64;

/// Parses a filter strictly: a bare name that is not a level is a typo, not a target.
pub(super) fn parse(filter: &str) -> Result<Targets, String> {
    const SHAPE: &str =
        "expected a level (off, error, warn, info, debug, trace), or comma-separated target=level pairs";
    if filter.split(',').count() > MAX_DIRECTIVES {
        return Err(format!("expected at most {MAX_DIRECTIVES} directives"));
    }
    let directives = filter.split(',').map(|part| {
        let (target, level) = match part.trim().split_once('=') {
            Some(("", _)) => return Err(SHAPE.to_owned()),
            Some((target, level)) => (Some(target), level),
            None => (None, part.trim()),
        };
        // `LevelFilter` also takes the empty text, as a default.
        let level = LevelFilter::from_str(level).ok().filter(|_| !level.is_empty()).ok_or_else(|| SHAPE.to_owned())?;
        Ok((target, level))
    });
    directives.into_iter().try_fold(Targets::new(), |targets, directive| {
        Ok(match directive? {
            (Some(target), level) => targets.with_target(target, level),
            (None, level) => targets.with_default(level),
        })
    })
}

fn access_levels(targets: &Targets) -> u8 {
    let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    levels.into_iter().filter(|level| targets.would_enable(ACCESS, level)).map(rank).max().unwrap_or(0)
}

fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_refused_and_change_nothing() {
        let control = LogControl::new("info", true).unwrap();
        for bad in ["", "inof", "info,", "a=", "=info", "a=loud", "info;debug"] {
            assert!(control.set_filter(bad).is_err(), "{bad}");
        }
        assert_eq!(control.filter(), "info");
    }

    #[test]
    fn directives_are_bounded_in_number() {
        assert!(parse(&["a=info"; MAX_DIRECTIVES].join(",")).is_ok());
        assert!(parse(&["a=info"; MAX_DIRECTIVES + 1].join(",")).is_err());
    }

    #[test]
    fn access_lines_follow_filter_and_switch() {
        let control = LogControl::new("info", true).unwrap();
        assert!(control.wants_access(Level::INFO));
        control.set_filter("info, access=error").unwrap();
        assert!(!control.wants_access(Level::INFO) && control.wants_access(Level::ERROR));
        control.set_filter("off,access=info").unwrap();
        assert!(control.wants_access(Level::INFO));
        control.set_access_log(false);
        assert!(!control.wants_access(Level::ERROR));
    }
}
