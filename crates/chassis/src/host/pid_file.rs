//! The PID file: complete at any time, with the id of the serving process.
//!
//! It is written under a temporary name before the start is decided, and renamed: a reader never sees half a
//! number, and a start that cannot write it fails while its predecessor serves.
//!
//! Next: [`super::systemd`].

use std::{fs, io, path::PathBuf, process};

use crate::process::StartError;

/// A PID file; removed on drop, unless another process has replaced it.
pub(super) struct PidFile {
    path: PathBuf,
    draft: PathBuf,
}

impl PidFile {
    /// Writes the draft.
    ///
    /// # Errors
    /// The file system's error.
    pub(super) fn prepare(path: &String) -> Result<Self, StartError> {
        let draft = PathBuf::from(format!("{path}.{}", process::id()));
        let path = PathBuf::from(path);
        fs::write(&draft, format!("{}\n", process::id()))
            .map_err(|error| StartError::new(format!("writing {} (host.pid_file)", draft.display()), error))?;
        Ok(Self { path, draft })
    }

    /// Renames it to its final name.
    pub(super) fn publish(&self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)
    }

    fn is_ours(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == process::id().to_string())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.draft);
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
