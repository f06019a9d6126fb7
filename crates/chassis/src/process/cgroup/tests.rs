//! Folders of files stand in for the kernel's; the real ones are in `tests/host/resize.rs`.

use super::*;

/// A folder of control groups, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let tree = Self(std::env::temp_dir().join(format!("cgroup-{name}-{}", std::process::id())));
        for (file, text) in files {
            tree.write(file, text);
        }
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creates it");
        fs::write(path, text).expect("writes it");
    }

    fn limits(&self, groups: &str) -> (Option<f64>, Option<u64>) {
        let Limits { cpus, memory } = limits_in(&self.0, groups);
        (cpus.expect("a readable quota"), memory.expect("a readable limit"))
    }

    /// The one error, without the path of the root.
    fn error(&self) -> String {
        let error = match limits_in(&self.0, "0::/\n") {
            Limits { cpus: Err(error), memory: Ok(None) } | Limits { cpus: Ok(None), memory: Err(error) } => error,
            limits => panic!("no error, or two: {limits:?}"),
        };
        error.strip_prefix(&format!("{}/", self.0.display())).expect("the file's path").to_owned()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("removes it");
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn the_lowest_limit_around_the_process_counts() {
    let tree = Tree::new(
        "second",
        &[
            ("cpu.max", "400000 100000\n"),
            ("memory.max", "4294967296\n"),
            ("system.slice/cpu.max", "150000 100000\n"),
            ("system.slice/memory.max", "67108864\n"),
            ("system.slice/service/cpu.max", "max 100000\n"),
            ("system.slice/service/memory.max", "max\n"),
        ],
    );
    assert_eq!(tree.limits("0::/system.slice/service\n"), (Some(1.5), Some(64 * MIB)), "a limit of the slice");
    assert_eq!(tree.limits("0::/\n"), (Some(4.0), Some(4096 * MIB)), "what a container sees");
    assert_eq!(tree.limits("0::/elsewhere/of/the/host\n"), (Some(4.0), Some(4096 * MIB)), "no such folder in it");
    assert_eq!(tree.limits("0::/../sibling\n"), (Some(4.0), Some(4096 * MIB)), "a group outside the namespace");
    tree.write("system.slice/service/cpu.max", "25000 50000\n");
    tree.write("system.slice/service/memory.max", "33554432\n");
    assert_eq!(tree.limits("0::/system.slice/service\n"), (Some(0.5), Some(32 * MIB)), "the own one is lower now");
}

#[test]
fn no_limit_is_none() {
    let tree = Tree::new("unlimited", &[("cpu.max", "max 100000\n"), ("memory.max", "max\n")]);
    assert_eq!(tree.limits("0::/\n"), (None, None));
    assert_eq!(tree.limits(""), (None, None), "a system without groups");
    fs::remove_file(tree.0.join("cpu.max")).expect("removes it");
    fs::remove_file(tree.0.join("memory.max")).expect("removes it");
    assert_eq!(tree.limits("0::/\n"), (None, None), "the controllers were taken from the group");
}

#[test]
fn a_limit_of_version_1_is_read_too() {
    let tree = Tree::new(
        "first",
        &[
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpu/pod/cpu.cfs_quota_us", "25000\n"),
            ("cpu/pod/cpu.cfs_period_us", "100000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/pod/memory.limit_in_bytes", "268435456\n"),
            ("memory/pod/one/memory.limit_in_bytes", "9223372036854771712\n"),
            // Of version 2, mounted beside it without these controllers.
            ("cpu.max", "max 100000\n"),
            ("memory.max", "1\n"),
        ],
    );
    let named = |path: &str| format!("12:memory:{path}\n4:cpu,cpuacct:{path}\n0::{path}\n");
    assert_eq!(tree.limits(&named("/pod/one")), (Some(0.25), Some(256 * MIB)));
    assert_eq!(tree.limits(&named("/")), (None, None), "-1, and a number that means none");
    assert_eq!(tree.limits(&named("/docker/1")), (None, None), "no such folder in a container");
    tree.write("cpu/cpu.cfs_quota_us", "150000\n");
    assert_eq!(tree.limits(&named("/docker/1")), (Some(1.5), None));
}

#[test]
fn a_hierarchy_is_found_by_the_names_of_all_its_controllers() {
    let folder = "cpu,cpuacct/cpu.cfs_quota_us";
    let tree = Tree::new("joined", &[(folder, "50000\n"), ("cpu,cpuacct/cpu.cfs_period_us", "100000\n")]);
    assert_eq!(tree.limits("4:cpu,cpuacct:/\n"), (Some(0.5), None));
    assert_eq!(tree.limits("4:cpuset:/\n"), (None, None), "another controller");
}

#[test]
fn what_the_kernel_does_not_write_is_an_error_that_names_the_file() {
    for (file, text) in [
        ("cpu.max", ""),
        ("cpu.max", "100000"),
        ("cpu.max", "some 100000\n"),
        ("cpu.max", "100000 0\n"),
        ("cpu.max", "-1 100000\n"),
        ("cpu.max", "inf 100000\n"),
        ("memory.max", ""),
        ("memory.max", "1.5\n"),
        ("memory.max", "64M\n"),
    ] {
        let tree = Tree::new("garbage", &[(file, text)]);
        assert_eq!(tree.error(), format!("{file}: expected a limit as the kernel writes it"), "{text:?}");
    }
    let tree = Tree::new("folder", &[("memory.max/file", "")]);
    assert!(tree.error().starts_with("memory.max: "), "it cannot be read");
}
