//! The CPU that the process may use, and what it has used.
//!
//! Next: [`super::peak`].

use std::{fs, path::Path, thread::available_parallelism, time::Duration};

use nix::sys::resource::{UsageWho, getrusage};

/// CPU time of all threads since the start, user and system; zero where the system does not tell.
pub(crate) fn used() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let duration = |seconds: i64, microseconds: i64| {
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
            + Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
    };
    let (user, system) = (usage.user_time(), usage.system_time());
    duration(user.tv_sec(), user.tv_usec()) + duration(system.tv_sec(), system.tv_usec())
}

/// CPUs: a fraction where a quota of the control group says so, else those of the affinity mask.
pub(crate) fn allowed() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of CPUs")]
    let whole = available_parallelism().map_or(1, usize::from) as f64;
    // The standard library reads the same quota, and rounds it down to whole CPUs, at least one.
    quota(Path::new("/sys/fs/cgroup"), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
        .filter(|quota| *quota < whole + 1.0)
        .unwrap_or(whole)
}

/// The lowest quota of the process's group and those around it; `groups` is what `/proc/self/cgroup` says.
fn quota(root: &Path, groups: &str) -> Option<f64> {
    let second = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let first = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "cpu").then_some(path)
    });
    let of_second = second.and_then(|path| lowest(root, path, |group| cpu_max(&read(group, "cpu.max")?)));
    of_second.or_else(|| {
        lowest(&root.join("cpu"), first?, |group| {
            ratio(&read(group, "cpu.cfs_quota_us")?, &read(group, "cpu.cfs_period_us")?)
        })
    })
}

/// The lowest of `limit` from the group `path` up to the root. A container sees its own group as the root, whatever the
/// path says.
fn lowest(root: &Path, path: &str, limit: impl Fn(&Path) -> Option<f64>) -> Option<f64> {
    let own = root.join(path.trim_start_matches('/'));
    own.ancestors().take_while(|group| group.starts_with(root)).filter_map(limit).reduce(f64::min)
}

fn read(group: &Path, file: &str) -> Option<String> {
    fs::read_to_string(group.join(file)).ok()
}

/// `max 100000` or `25000 100000`.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

/// None without a limit, which is `max`, or -1.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let [quota, period]: [f64; 2] = [quota.trim().parse().ok()?, period.trim().parse().ok()?];
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of control groups.
    fn groups(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("cgroup-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("creates it");
            fs::write(path, text).expect("writes it");
        }
        root
    }

    #[test]
    fn the_lowest_quota_around_the_process_counts() {
        let files = [
            ("cpu.max", "400000 100000\n"),
            ("system.slice/cpu.max", "150000 100000\n"),
            ("system.slice/service/cpu.max", "max 100000\n"),
        ];
        let root = groups("v2", &files);
        assert_eq!(quota(&root, "0::/system.slice/service\n"), Some(1.5));
        assert_eq!(quota(&root, "0::/\n"), Some(4.0), "what a container sees");
        assert_eq!(quota(&root, "0::/elsewhere/of/the/host\n"), Some(4.0), "no such folder in the container");
        fs::remove_dir_all(root).expect("removes it");
    }

    #[test]
    fn the_first_version_of_control_groups_is_read_too() {
        let files = [("cpu/cpu.cfs_quota_us", "25000\n"), ("cpu/cpu.cfs_period_us", "100000\n")];
        let root = groups("v1", &files);
        let named = "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n";
        assert_eq!(quota(&root, named), Some(0.25));
        assert_eq!(quota(&root, "12:memory:/docker/1\n"), None);
        fs::write(root.join("cpu/cpu.cfs_quota_us"), "-1\n").expect("writes it");
        assert_eq!(quota(&root, named), None);
        fs::remove_dir_all(root).expect("removes it");
    }

    #[test]
    fn work_is_seen() {
        let before = used();
        while used() == before {
            std::hint::spin_loop();
        }
        assert!(allowed() > 0.0);
    }
}
