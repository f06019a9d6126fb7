//! Gives memory back that the program has freed and the C library has kept.
//!
//! glibc returns the top of its heaps by itself, and nothing below a piece that is still in use: after a peak of
//! connections a server goes on holding what they had. `malloc_trim` returns all whole pages that are free.

/// Gives free pages back to the system. Whether there were any, and this C library can; other threads that allocate wait
/// meanwhile, for some milliseconds per 100 MB.
#[must_use]
pub fn give_back() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: no arguments beyond a number of bytes to keep, and every thread may call it at any time (malloc_trim(3)).
        let released = unsafe { libc::malloc_trim(0) };
        released == 1
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Kilobytes that the process has in memory.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn what_was_freed_below_what_is_in_use_goes_back() {
        // 32 MB in pieces that glibc takes from its heap, with one in use at the top.
        let pieces: Vec<Vec<u8>> = (0..8_000).map(|_| vec![1; 4_000]).collect();
        let top = vec![1_u8; 4_000];
        let full = resident();
        drop(pieces);
        assert!(give_back());
        let after = resident();
        assert!(after + 24_000 < full, "{full} kB, then {after} kB");
        assert_eq!(top.len(), 4_000);
    }
}
