//! Drops privileges permanently, from root to a user.
//!
//! User and group are set first, then every set of capabilities is emptied, then no-new-privileges is set: no program
//! that this one starts gains privileges. A new process starts without privileges and needs none: its
//! listeners are inherited.
//!
//! Next: [`super::pid_file`].

use std::{ffi::CString, fmt::Display};

use caps::{CapSet, Capability};
use nix::{
    sys::prctl,
    unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid},
};

use super::Settings;
use crate::process::StartError;

/// Drops privileges according to `settings`.
///
/// # Errors
/// An unknown user or group, or the kernel's error.
pub(super) fn drop(settings: &Settings) -> Result<(), StartError> {
    let target = settings.user.as_deref().map(|user| Target::find(user, settings.group.as_deref())).transpose()?;
    if !settings.keep_capabilities {
        clear_bounding_set()?;
    }
    if let Some(target) = target {
        target.enter()?;
    }
    if !settings.keep_capabilities {
        for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
            caps::clear(None, set).map_err(|error| failed(format_args!("clearing the {set:?} capabilities"), error))?;
        }
    }
    prctl::set_no_new_privs().map_err(|error| failed("setting no-new-privileges", error))
}

/// It bounds what a program may get at its start; only who has `CAP_SETPCAP` can clear it. For anyone else,
/// no-new-privileges has the same effect.
fn clear_bounding_set() -> Result<(), StartError> {
    let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP);
    if !may.map_err(|error| failed("reading the capabilities", error))? {
        return Ok(());
    }
    caps::clear(None, CapSet::Bounding).map_err(|error| failed("clearing the bounding set of capabilities", error))
}

/// The target user.
struct Target {
    uid: Uid,
    gid: Gid,
    /// For the user's supplementary groups; a bare number has none.
    name: Option<CString>,
}

impl Target {
    fn find(user: &str, group: Option<&str>) -> Result<Self, StartError> {
        let (uid, entry) = match user.parse().map(Uid::from_raw) {
            Ok(uid) => (uid, User::from_uid(uid).map_err(|error| failed("looking up host.user", error))?),
            Err(_) => named(user).map(|entry| (entry.uid, Some(entry)))?,
        };
        let gid = match (group, &entry) {
            (Some(group), _) => gid(group)?,
            (None, Some(entry)) => entry.gid,
            (None, None) => {
                return Err(StartError::new("host.group", "required when host.user is a number without a user name"));
            }
        };
        Ok(Self { uid, gid, name: entry.and_then(|entry| CString::new(entry.name).ok()) })
    }

    /// Nothing to do if the old process did it.
    fn enter(&self) -> Result<(), StartError> {
        if geteuid() == self.uid && getegid() == self.gid {
            return Ok(());
        }
        let groups = match &self.name {
            Some(name) => initgroups(name, self.gid),
            None => setgroups(&[self.gid]),
        };
        groups.map_err(|error| failed("setting the groups of host.user", error))?;
        setgid(self.gid).map_err(|error| failed("becoming host.group", error))?;
        setuid(self.uid).map_err(|error| failed("becoming host.user", error))
    }
}

fn named(user: &str) -> Result<User, StartError> {
    let found = User::from_name(user).map_err(|error| failed("looking up host.user", error))?;
    found.ok_or_else(|| StartError::new("host.user", UNKNOWN))
}

fn gid(group: &str) -> Result<Gid, StartError> {
    if let Ok(gid) = group.parse() {
        return Ok(Gid::from_raw(gid));
    }
    let found = Group::from_name(group).map_err(|error| failed("looking up host.group", error))?;
    Ok(found.ok_or_else(|| StartError::new("host.group", UNKNOWN))?.gid)
}

const UNKNOWN: &str = "no such name on this host";

fn failed(what: impl Display, error: impl Display) -> StartError {
    StartError::new(what, error)
}
