//! Control groups of this machine, whose limits change while a process runs in them, as a kubelet changes a pod's. Making
//! them needs root.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

const ROOT: &str = "/sys/fs/cgroup";

/// What the kubelet sets, in microseconds.
const PERIOD: u32 = 100_000;

/// A group with limits, and one inside it that has none: the process is in that one, and has the limits around it.
pub(crate) struct ControlGroup {
    /// By version 1 one for each controller, by version 2 the same for both.
    cpu: PathBuf,
    memory: PathBuf,
    is_second: bool,
}

impl ControlGroup {
    pub(crate) fn new(name: &str) -> Self {
        Self::make(name).unwrap_or_else(|error| {
            panic!("no control group can be made ({error}); on a host, not in a container: sudo make test-host")
        })
    }

    fn make(name: &str) -> io::Result<Self> {
        let root = Path::new(ROOT);
        let is_second = root.join("cgroup.controllers").is_file();
        if is_second {
            fs::write(root.join("cgroup.subtree_control"), "+cpu +memory")?;
        }
        let unique = format!("test-{name}-{}", process::id());
        let folder =
            |controller: &str| if is_second { root.join(&unique) } else { root.join(controller).join(&unique) };
        let group = Self { cpu: folder("cpu"), memory: folder("memory"), is_second };
        group.inner().iter().try_for_each(fs::create_dir_all)?;
        // The most there is: other programs take nothing of what the quota leaves.
        let weight = if is_second { ("cpu.weight", "10000") } else { ("cpu.shares", "262144") };
        fs::write(group.cpu.join(weight.0), weight.1)?;
        Ok(group)
    }

    /// The folders of the groups that a process enters.
    pub(crate) fn inner(&self) -> Vec<PathBuf> {
        let mut inner = vec![self.cpu.join("inner"), self.memory.join("inner")];
        inner.dedup();
        inner
    }

    /// A quota of thousandths of a CPU.
    pub(crate) fn set_cpu(&self, thousandths: u32) {
        let quota = thousandths * (PERIOD / 1000);
        if self.is_second {
            Self::write(&self.cpu.join("cpu.max"), format!("{quota} {PERIOD}"));
        } else {
            Self::write(&self.cpu.join("cpu.cfs_quota_us"), quota.to_string());
        }
    }

    /// A memory limit in bytes.
    pub(crate) fn set_memory(&self, bytes: u64) {
        let file = if self.is_second { "memory.max" } else { "memory.limit_in_bytes" };
        Self::write(&self.memory.join(file), bytes.to_string());
    }

    fn write(file: &Path, text: String) {
        fs::write(file, text).unwrap_or_else(|error| panic!("writing {}: {error}", file.display()));
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        for inner in self.inner() {
            // A process that was killed leaves it in a moment.
            for _ in 0..500 {
                match fs::remove_dir(&inner) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        thread::sleep(Duration::from_millis(10))
                    }
                    _ => break,
                }
            }
            let _ = inner.parent().map(fs::remove_dir);
        }
    }
}
