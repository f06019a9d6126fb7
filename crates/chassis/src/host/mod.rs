//! Life on a host without a cluster: privileges, systemd, and a restart that loses nothing.
//!
//! All of it is the cargo feature `host`. This file is the only one that asks whether the feature is on: without it,
//! `absent` stands in for the rest, does nothing, and brings no dependency. The settings are there in every build, so
//! that the reference is one; a build without the feature refuses them.
//!
//! It refuses to know routes and connections, and to reload settings.
//!
//! Next: [`super::listener`], which it prepares sockets for.

#[cfg(not(feature = "host"))]
mod absent;
#[cfg(feature = "host")]
mod supervisor;
#[cfg(feature = "host")]
mod link;
#[cfg(feature = "host")]
mod passed;
#[cfg(feature = "host")]
mod pid_file;
#[cfg(feature = "host")]
mod present;
#[cfg(feature = "host")]
mod privileges;
#[cfg(feature = "host")]
mod sockets;
#[cfg(feature = "host")]
mod successor;
#[cfg(feature = "host")]
mod systemd;
#[cfg(feature = "host")]
mod upgrade;

#[cfg(not(feature = "host"))]
pub(crate) use absent::{Asked, Host, fork_supervisor};
#[cfg(feature = "host")]
pub(crate) use {present::Host, supervisor::fork_supervisor, upgrade::Asked};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{Check, Duration, SettingError, SettingErrors};

/// Whether this build has the feature.
pub(crate) const AVAILABLE: bool = cfg!(feature = "host");

/// Settings `host.*`: for a build with the cargo feature `host`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The user to become once the listeners are bound: a name, or a number. Needs a start as root.
    pub user: Option<String>,
    /// The group to become: a name, or a number; by default the user's own.
    pub group: Option<String>,
    /// Keeps the capabilities that the process was started with. By default they are given up once the listeners are bound, for good.
    pub keep_capabilities: bool,
    /// A file that holds the process id, replaced by rename at the start and at each restart by SIGUSR2. The user that the process becomes writes it.
    pub pid_file: Option<String>,
    /// How long a new process may take to get ready after SIGUSR2, before it is ended and the old one goes on.
    pub upgrade_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: None,
            group: None,
            keep_capabilities: false,
            pid_file: None,
            // 30 s: a start takes well under one; an app may warm a cache or wait for a check.
            upgrade_timeout: Duration::from_secs(30),
        }
    }
}

impl Check for Settings {
    fn check(&self, errors: &mut SettingErrors) {
        let given = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.trim().is_empty());
        if !AVAILABLE {
            let default = Self::default();
            for (key, unchanged) in [
                ("user", self.user == default.user),
                ("group", self.group == default.group),
                ("keep_capabilities", self.keep_capabilities == default.keep_capabilities),
                ("pid_file", self.pid_file == default.pid_file),
                ("upgrade_timeout", self.upgrade_timeout == default.upgrade_timeout),
            ] {
                errors.require(unchanged, key, "this build has no such setting: rebuild with --features host");
            }
            return;
        }
        errors.require(given(&self.user), "user", "expected a name or a number");
        errors.require(given(&self.group), "group", "expected a name or a number");
        errors.require(given(&self.pid_file), "pid_file", "expected a path");
        if self.group.is_some() && self.user.is_none() {
            errors.push(SettingError::between(["group", "user"], "a group needs a user beside it"));
        }
        let patient = self.upgrade_timeout > Duration::default();
        errors.require(patient, "upgrade_timeout", "expected a duration above zero");
    }
}
