//! The PID file: whole at any time, and of the process that serves.
//!
//! It is written beside its place, before the start is decided, and renamed into it: a reader never sees half a
//! number, and a start that cannot write it fails while its predecessor serves.
//!
//! Next: [`super::systemd`].

use std::{fs, io, path::PathBuf, process};

use crate::process::StartError;

/// A PID file; removed with its owner, unless it is another's by then.
pub(super) struct PidFile {
    path: PathBuf,
    draft: PathBuf,
}

impl PidFile {
    /// Writes the draft.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn prepare(path: &String) -> Result<Self, StartError> {
        let draft = PathBuf::from(format!("{path}.{}", process::id()));
        let path = PathBuf::from(path);
        fs::write(&draft, format!("{}\n", process::id()))
            .map_err(|error| StartError::new(format!("writing {} (host.pid_file)", draft.display()), error))?;
        Ok(Self { path, draft })
    }

    /// Puts it in its place.
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
