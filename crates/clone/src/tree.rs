//! The files of a clean tree, in memory: nothing is written before every edit is made.
//!
//! Next: [`crate::name`].

use std::{collections::BTreeMap, fs, io, os::unix::fs::PermissionsExt, path::Path, str};

use crate::git;

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File { content: Vec<u8>, executable: bool },
    Link { to: String },
}

/// Paths relative to the root, and what they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Entry>);

impl Tree {
    /// The tracked files below `root`.
    ///
    /// # Errors
    /// When git does not list them, there is a submodule, or a file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let listed = git::output(root, &["ls-files", "--stage", "-z"])?;
        let mut tree = Self::default();
        for line in listed.split('\0').filter(|line| !line.is_empty()) {
            let (head, path) = line.split_once('\t').ok_or_else(|| format!("git ls-files said {line:?}"))?;
            let file = root.join(path);
            let failed = |error: io::Error| format!("reading {}: {error}", file.display());
            let entry = match head.split(' ').next() {
                Some(mode @ ("100644" | "100755")) => {
                    Entry::File { content: fs::read(&file).map_err(failed)?, executable: mode == "100755" }
                }
                Some("120000") => Entry::Link { to: fs::read_link(&file).map_err(failed)?.to_string_lossy().into() },
                mode => return Err(format!("{path}: mode {mode:?} is not copied (a submodule?)")),
            };
            tree.0.insert(path.to_owned(), entry);
        }
        Ok(tree)
    }

    /// The text of the file `path`.
    ///
    /// # Errors
    /// When it is not there, or no text.
    pub(crate) fn text(&self, path: &str) -> Result<&str, String> {
        match self.0.get(path) {
            Some(Entry::File { content, .. }) => str::from_utf8(content).map_err(|_| format!("{path}: no text")),
            Some(Entry::Link { .. }) => Err(format!("{path}: a link")),
            None => Err(format!("{path}: not in the tree")),
        }
    }

    /// Makes `text` the content of `path`; a new file is not executable.
    pub(crate) fn set(&mut self, path: &str, text: impl Into<Vec<u8>>) {
        let executable = matches!(self.0.get(path), Some(Entry::File { executable: true, .. }));
        self.0.insert(path.to_owned(), Entry::File { content: text.into(), executable });
    }

    /// Drops what `is_out` says.
    pub(crate) fn leave_out(&mut self, is_out: impl Fn(&str) -> bool) {
        self.0.retain(|path, _| !is_out(path));
    }

    /// The paths below `folder`, which ends with a slash.
    pub(crate) fn below(&self, folder: &str) -> Vec<String> {
        self.0.keys().filter(|path| path.starts_with(folder)).cloned().collect()
    }

    /// Whether there is a file `path`, or a folder of that name.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.0.contains_key(path)
            || self.0.range(folder.clone()..).next().is_some_and(|(path, _)| path.starts_with(&folder))
    }

    /// Writes all of it below `root`.
    ///
    /// # Errors
    /// The first path that cannot be written, and why.
    pub(crate) fn write(&self, root: &Path) -> Result<(), String> {
        for (path, entry) in &self.0 {
            write(&root.join(path), entry)?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.set(path, *text);
        }
        tree
    }
}

/// Writes one entry, and the folders above it.
pub(crate) fn write(path: &Path, entry: &Entry) -> Result<(), String> {
    let put = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match entry {
            Entry::Link { to } => std::os::unix::fs::symlink(to, path),
            Entry::File { content, executable } => {
                fs::write(path, content)?;
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode))
            }
        }
    };
    put().map_err(|error| format!("writing {}: {error}", path.display()))
}
