//! The limits of the control groups (cgroups) around the process, of version 1 and version 2.
//!
//! A limit binds all that is below it: the process has the lowest of its own group and of those around it, as far as it sees
//! them. A container sees its own group as the root, a service of systemd all of them. They change while the process
//! runs: Kubernetes resizes pods in place, `systemctl set-property` services.
//!
//! It does not read `memory.high`, above which the kernel only slows a group down, and no requests or shares: they promise
//! something and limit nothing.
//!
//! Next: [`super::cpu`].

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Above it, version 1 states that there is no memory limit: the largest `i64`, rounded down to a page.
const UNLIMITED: u64 = 1 << 60;

/// Where systems mount the groups.
const ROOT: &str = "/sys/fs/cgroup";

/// A limit, none where none is set. The error names the file that could not be read, or that says something else than the
/// kernel's documentation (cgroup-v2, cgroup-v1).
type Limit<T> = Result<Option<T>, String>;

/// What the groups allow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limits {
    /// CPU time for each second, in seconds.
    pub(super) cpus: Limit<f64>,
    /// Bytes.
    pub(super) memory: Limit<u64>,
}

/// Reads the limits of now; none on a system without groups.
pub(super) fn limits() -> Limits {
    match read(Path::new("/proc/self/cgroup")) {
        Ok(groups) => limits_in(Path::new(ROOT), &groups.unwrap_or_default()),
        Err(error) => Limits { cpus: Err(error.clone()), memory: Err(error) },
    }
}

/// The same of the groups below `root`; `groups` is what `/proc/self/cgroup` says.
fn limits_in(root: &Path, groups: &str) -> Limits {
    let cpus = match first(root, groups, "cpu") {
        Some(group) => lowest(&group, cfs_quota, f64::min),
        None => lowest(&second(root, groups), cpu_max, f64::min),
    };
    let memory = match first(root, groups, "memory") {
        Some(group) => lowest(&group, |group| bytes(&group.join("memory.limit_in_bytes")), u64::min),
        None => lowest(&second(root, groups), |group| bytes(&group.join("memory.max")), u64::min),
    };
    Limits { cpus, memory }
}

/// A group of the process, below the mount of its hierarchy.
struct Group {
    mount: PathBuf,
    path: PathBuf,
}

impl Group {
    fn new(mount: PathBuf, path: &str) -> Self {
        let path = mount.join(path.trim_start_matches('/'));
        Self { mount, path }
    }
}

/// The group in the hierarchy of version 1 that has `controller`, which is then in no other (cgroups(7)).
fn first(root: &Path, groups: &str, controller: &str) -> Option<Group> {
    let (controllers, path) = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some((controllers, path))
    })?;
    // Mounted by the names of all its controllers, and mostly linked by each.
    let mount = [controller, controllers].map(|name| root.join(name)).into_iter().find(|mount| mount.is_dir())?;
    Some(Group::new(mount, path))
}

/// The group of version 2.
fn second(root: &Path, groups: &str) -> Group {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    Group::new(root.to_owned(), path)
}

/// The lowest limit from `group` up to the root. A container sees its own group as the root, whatever the path says.
fn lowest<T>(group: &Group, limit: impl Fn(&Path) -> Limit<T>, lower: impl Fn(T, T) -> T) -> Limit<T> {
    let around = group.path.ancestors().take_while(|path| path.starts_with(&group.mount));
    let limits: Vec<_> = around.map(limit).collect::<Result<_, _>>()?;
    Ok(limits.into_iter().flatten().reduce(lower))
}

/// Version 2: `max 100000` or `25000 100000`.
fn cpu_max(group: &Path) -> Limit<f64> {
    let file = group.join("cpu.max");
    let Some(text) = read(&file)? else { return Ok(None) };
    let (quota, period) = text.trim().split_once(' ').ok_or_else(|| unknown(&file))?;
    if quota == "max" {
        return Ok(None);
    }
    ratio(quota, period).map(Some).ok_or_else(|| unknown(&file))
}

/// Version 1: -1 is no limit.
fn cfs_quota(group: &Path) -> Limit<f64> {
    let file = group.join("cpu.cfs_quota_us");
    let (Some(quota), Some(period)) = (read(&file)?, read(&group.join("cpu.cfs_period_us"))?) else { return Ok(None) };
    if quota.trim() == "-1" {
        return Ok(None);
    }
    ratio(quota.trim(), period.trim()).map(Some).ok_or_else(|| unknown(&file))
}

/// Both are microseconds.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let [quota, period]: [u32; 2] = [quota.parse().ok()?, period.parse().ok()?];
    (quota > 0 && period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// `max` in version 2, and a huge number in version 1, are no limit.
fn bytes(file: &Path) -> Limit<u64> {
    let Some(text) = read(file)? else { return Ok(None) };
    if text.trim() == "max" {
        return Ok(None);
    }
    let bytes: u64 = text.trim().parse().map_err(|_| unknown(file))?;
    Ok(Some(bytes).filter(|bytes| *bytes < UNLIMITED))
}

/// None where there is no such file: the root of version 2 has no limits, nor has a group without the controller.
fn read(file: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

fn unknown(file: &Path) -> String {
    format!("{}: expected a limit as the kernel writes it", file.display())
}

#[cfg(test)]
mod tests;
