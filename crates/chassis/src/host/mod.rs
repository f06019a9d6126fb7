//! Running on a host without a cluster: privileges, systemd, and restarts without losing requests.
//!
//! All of it is the cargo feature `host`. This file is the only one that checks the feature: without it,
//! `absent` replaces the rest, does nothing, and needs no dependency. The settings exist in every build, so
//! that there is one reference; a build without the feature refuses them.
//!
//! It does not deal with routes, connections or reloads of settings.
//!
//! Next: [`super::listener`], which uses the prepared sockets.

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
    /// User to switch to after the listeners are bound: a name or a number. The process must start as root.
    pub user: Option<String>,
    /// Group to switch to: a name or a number; by default the user's primary group.
    pub group: Option<String>,
    /// Whether to keep the process's capabilities. By default they are dropped permanently after the listeners are bound.
    pub keep_capabilities: bool,
    /// PID file, replaced by rename at start and at each restart by SIGUSR2. It is written as `host.user`.
    pub pid_file: Option<String>,
    /// How long a new process may take to become ready after SIGUSR2; after that it is killed and the old process continues. At least `lifecycle.start_timeout`.
    pub upgrade_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: None,
            group: None,
            keep_capabilities: false,
            pid_file: None,
            // 60 s: 5 s more than `lifecycle.start_timeout`, so that a start that is in time is not killed, and one that is not
            // ends by itself, with the reason in its log.
            upgrade_timeout: Duration::from_secs(60),
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
                errors.require(unchanged, key, "this build lacks that setting: rebuild with --features host");
            }
            return;
        }
        errors.require(given(&self.user), "user", "expected a name or a number");
        errors.require(given(&self.group), "group", "expected a name or a number");
        errors.require(given(&self.pid_file), "pid_file", "expected a path");
        if self.group.is_some() && self.user.is_none() {
            errors.push(SettingError::between(["group", "user"], "group needs user"));
        }
        let patient = self.upgrade_timeout > Duration::default();
        errors.require(patient, "upgrade_timeout", "expected a duration above zero");
    }
}
