//! The app: this service's own. It has no route yet.
//!
//! [`router`] has the list of routes. Each feature has its own file and state; there is no global state. What
//! every service needs (timeouts, limits, metrics, logs) is in the chassis.
//!
//! Next: [`config`].

pub mod config;
pub mod error;

pub use config::Settings;

use chassis::{Chassis, router::Router};

/// The API's title and description, for `/openapi.json` and `/docs`. Change this first.
const ABOUT: &str = "A new service\n\nWhat it is for.";

/// Why the app cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A metric's name is taken.
    #[error("registering the app's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The list of routes.
///
/// # Errors
/// When the settings do not fit, or a name is taken.
pub async fn router(_settings: &Settings, chassis: &Chassis) -> Result<Router, StartError> {
    Ok(Router::new().documented(ABOUT, &chassis.identity))
}
