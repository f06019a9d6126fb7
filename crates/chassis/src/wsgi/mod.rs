//! A Python WSGI application behind the app's routes, to migrate a service from Python route by route.
//!
//! Unmatched requests go to Python: through the same middleware, in their own pool, and counted. The bridge is
//! the crate `wsgi`, enabled by the cargo feature of that name; this file is the only one that checks the feature.
//! Without it, a setting that names an application is refused.
//!
//! It does not depend on what the application does.
//!
//! Next: [`mount`], for the app's list of routes.

#[cfg(feature = "wsgi")]
mod metrics;
#[cfg(feature = "wsgi")]
mod present;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    replica::Chassis,
    router::Router,
    values::{SettingError, SettingErrors},
};

/// Whether this build has the feature.
pub(crate) const AVAILABLE: bool = cfg!(feature = "wsgi");

/// Settings of a Python application; an app embeds them beside the application's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Directories with its modules, and virtual environments, in search order.
    pub path: Vec<String>,
    /// Number of Python threads, each handling one request at a time. They share one interpreter and its lock: more threads help if requests wait, for example for a database.
    pub threads: usize,
    /// Maximum number of requests that wait for a thread; more are refused with 503.
    pub queue: usize,
    /// Whether a request is passed to Python before its body is complete: for applications that read the body as a stream. Each slow upload then occupies one of the threads.
    pub stream_bodies: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // The default of most WSGI servers.
            path: vec![".".into()],
            // 8: each thread may need a database connection, and one interpreter cannot use more for computing.
            threads: 8,
            // 32: four per thread, which is 200 ms at 50 ms per request.
            queue: 32,
            // Off, as in most WSGI servers: a slow upload is buffered here without occupying a thread.
            stream_bodies: false,
        }
    }
}

/// 256: each thread costs a stack, and often a connection to a database.
const MOST_THREADS: usize = 256;

impl Settings {
    /// Validates beyond the types. `key` is the path of these settings, `named` the key of the application's name and
    /// `application` its value.
    pub fn check(&self, key: &str, named: &str, application: Option<&str>, errors: &mut SettingErrors) {
        if !(1..=MOST_THREADS).contains(&self.threads) {
            let expected = format!("expected 1 to {MOST_THREADS} threads");
            errors.push(SettingError::new(format!("{key}.threads"), expected));
        }
        // Without a queue, a request would have to arrive exactly when a thread is waiting for one.
        if self.queue == 0 {
            errors.push(SettingError::new(format!("{key}.queue"), "must be above zero"));
        }
        let Some(application) = application else { return };
        if !AVAILABLE {
            errors.push(SettingError::new(named, "this build lacks Python support; rebuild with --features wsgi"));
        } else if !is_name(application) {
            errors.push(SettingError::new(named, "expected module:callable, as in shop.wsgi:application"));
        }
    }
}

/// A module, a colon, and a name in it, each of which may be dotted.
fn is_name(application: &str) -> bool {
    let is_dotted = |name: &str| {
        name.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with(|first: char| first.is_ascii_digit())
                && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        })
    };
    application.split_once(':').is_some_and(|(module, callable)| is_dotted(module) && is_dotted(callable))
}

/// Why the Python application cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// It could not be loaded.
    #[error("{0}")]
    Load(String),
    /// A metric's name is taken.
    #[error("registering the Python metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Loads `application` (`module:callable`), if set, as the fallback for paths without a route in `router`.
///
/// # Errors
/// If it cannot be imported, with Python's error.
#[cfg(feature = "wsgi")]
pub fn mount(
    router: Router,
    application: Option<&str>,
    settings: &Settings,
    chassis: &Chassis,
) -> Result<Router, MountError> {
    match application {
        Some(application) => present::mount(router, application, settings, chassis),
        None => Ok(router),
    }
}

/// Returns `router` unchanged: this build has no Python, and the settings name no application.
///
/// # Errors
/// If they do, in case their check was skipped.
#[cfg(not(feature = "wsgi"))]
pub fn mount(router: Router, application: Option<&str>, _: &Settings, _: &Chassis) -> Result<Router, MountError> {
    match application {
        Some(_) => Err(MountError::Load("this build lacks Python support; rebuild with --features wsgi".into())),
        None => Ok(router),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(settings: &Settings, application: Option<&str>) -> Vec<String> {
        let mut errors = SettingErrors::default();
        settings.check("python", "wsgi", application, &mut errors);
        errors.iter().flat_map(|problem| problem.keys().to_vec()).collect()
    }

    #[test]
    fn every_bad_setting_is_named() {
        assert!(keys(&Settings::default(), None).is_empty());
        for threads in [0, MOST_THREADS + 1] {
            assert_eq!(keys(&Settings { threads, ..Default::default() }, None), ["python.threads"]);
        }
        assert_eq!(keys(&Settings { queue: 0, ..Default::default() }, None), ["python.queue"]);
        assert_eq!(keys(&Settings::default(), Some("no name")), ["wsgi"]);
        assert_eq!(keys(&Settings::default(), Some("shop.wsgi:application")).is_empty(), AVAILABLE);
    }

    #[test]
    fn a_name_is_a_module_and_a_callable() {
        for name in ["shop:app", "shop.wsgi:application", "_a1:b.c"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["shop", "shop:", ":app", "shop:app()", "a/b:c", "1a:b", "a:b:c", "a..b:c"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
