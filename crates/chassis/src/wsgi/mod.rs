//! A Python WSGI application behind the app's routes, so that a service moves from Python route by route.
//!
//! What no route matches goes to Python: through the same middleware, in a pool of its own, and counted. The bridge is
//! the crate `wsgi`, brought by the cargo feature of that name; this file is the only one that asks whether it is on.
//! Without it, a setting that names an application is refused.
//!
//! It refuses to know what the application does.
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

/// How a Python application is run; an app embeds it beside the application's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where its modules are: folders, and virtual environments; the first goes first.
    pub path: Vec<String>,
    /// How many requests Python works on at a time. They share one interpreter and its lock: more threads help where requests wait, for a database say.
    pub threads: usize,
    /// How many requests wait for a thread; more are refused with 503.
    pub queue: usize,
    /// Hands a request to Python before its body is whole: an application that reads as the body comes needs it, and each client that sends slowly holds one of the threads meanwhile.
    pub stream_bodies: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Where most servers of WSGI look.
            path: vec![".".into()],
            // 8: what waits for a database keeps as many connections, and one interpreter has no use for more that compute.
            threads: 8,
            // 32: four for each thread, which is 200 ms at 50 ms a request.
            queue: 32,
            // Off, as in most servers of WSGI: a slow upload waits here, where it costs no thread.
            stream_bodies: false,
        }
    }
}

/// 256: each thread costs a stack, and often a connection to a database.
const MOST_THREADS: usize = 256;

impl Settings {
    /// Finds what the types cannot. `key` is where these settings stand, `named` the key of the application's name and
    /// `application` its value.
    pub fn check(&self, key: &str, named: &str, application: Option<&str>, errors: &mut SettingErrors) {
        if !(1..=MOST_THREADS).contains(&self.threads) {
            let expected = format!("expected 1 to {MOST_THREADS} threads");
            errors.push(SettingError::new(format!("{key}.threads"), expected));
        }
        // Without any, a request would have to come at the very moment at which a thread looks for it.
        if self.queue == 0 {
            errors.push(SettingError::new(format!("{key}.queue"), "has to be above zero"));
        }
        let Some(application) = application else { return };
        if !AVAILABLE {
            errors.push(SettingError::new(named, "this build has no Python; rebuild with --features wsgi"));
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
    #[error("registering the metrics of Python: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Loads `application` (`module:callable`), where one is named, and lets it answer whatever no route of `router` matches.
///
/// # Errors
/// When it cannot be imported; with what Python says.
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

/// Gives `router` back: this build has no Python, and its settings name no application.
///
/// # Errors
/// When they do: who skipped their check is told here.
#[cfg(not(feature = "wsgi"))]
pub fn mount(router: Router, application: Option<&str>, _: &Settings, _: &Chassis) -> Result<Router, MountError> {
    match application {
        Some(_) => Err(MountError::Load("this build has no Python; rebuild with --features wsgi".into())),
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
