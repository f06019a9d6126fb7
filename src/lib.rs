//! The service: [`app`] has what it does, the crate `chassis` what every replica needs.
//!
//! Next: [`app`].

pub mod app;

use chassis::{config, program};

/// Its name and version.
pub const SERVICE: program::Service = chassis::service!();

/// Its settings, for the tests.
pub type Settings = config::Settings<app::Settings>;
