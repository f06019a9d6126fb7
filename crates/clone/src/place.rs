//! Where the clone goes: a new folder, or the present one. All of it or nothing.
//!
//! Next: [`crate::git`].

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{git, tree, tree::Tree};

/// Whether the clone has its first commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    Begun,
    /// All is staged, but git does not know who commits.
    Staged,
    /// None was asked for.
    None,
}

/// Deletes its folder when it goes out of scope: what was half-written.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// In `folder`, with a hidden name of its own.
    ///
    /// # Errors
    /// When it cannot be made, or is there already: whose ever it is, nothing is written into it.
    pub(crate) fn in_folder(folder: &Path, name: &str) -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".{name}.{}.{number}", process::id()));
        fs::create_dir(&path).map_err(|error| format!("making {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is named in a folder that begins with a dot; there is no better place to say so.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Refuses a place that is taken, is inside `root`, or has no folder above it.
///
/// # Errors
/// Which of these it is.
pub(crate) fn check(root: &Path, target: &Path) -> Result<PathBuf, String> {
    if target.symlink_metadata().is_ok() {
        return Err(format!("{} exists already; nothing is overwritten", target.display()));
    }
    let name = target.file_name().ok_or_else(|| format!("{} is no folder's name", target.display()))?;
    let above = match target.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let above = above.canonicalize().map_err(|error| format!("{}: {error}", above.display()))?;
    if !above.is_dir() {
        return Err(format!("{} is no folder", above.display()));
    }
    if above.starts_with(root) {
        return Err(format!("{} is inside the tree that is cloned", target.display()));
    }
    Ok(above.join(name))
}

/// Makes the folder `target`, with `tree` and, if `message` is given, a first commit.
///
/// # Errors
/// What could not be written, or what git complains of; then there is no `target`.
pub(crate) fn create(target: &Path, tree: &Tree, message: Option<&str>) -> Result<History, String> {
    // On the same file system, so that the last step is a rename.
    let above = target.parent().expect("a checked path");
    let scratch = Scratch::in_folder(above, &target.file_name().unwrap_or_default().to_string_lossy())?;
    tree.write(&scratch.0)?;
    let history = match message {
        Some(message) => begin_history(&scratch.0, message)?,
        None => History::None,
    };
    if target.symlink_metadata().is_ok() {
        return Err(format!("{} exists already; nothing is overwritten", target.display()));
    }
    fs::rename(&scratch.0, target).map_err(|error| format!("renaming to {}: {error}", target.display()))?;
    Ok(history)
}

fn begin_history(folder: &Path, message: &str) -> Result<History, String> {
    git::output(folder, &["init", "--quiet", "--initial-branch=main"])?;
    // Forced: the template's tracked files, whatever the user's own ignore file says.
    git::output(folder, &["add", "--all", "--force"])?;
    if !git::knows_the_user(folder) {
        return Ok(History::Staged);
    }
    git::output(folder, &["commit", "--quiet", "--message", message])?;
    Ok(History::Begun)
}

/// Makes `new` of `old` in the folder `root`.
///
/// # Errors
/// What could not be written; then all is as it was.
pub(crate) fn replace(root: &Path, old: &Tree, new: &Tree) -> Result<(), String> {
    let scratch = Scratch::in_folder(root, "clone")?;
    let (fresh, kept) = (scratch.0.join("new"), scratch.0.join("old"));
    // First all that needs room on the disk.
    let changed: Vec<&String> =
        new.0.iter().filter(|(path, entry)| old.0.get(*path) != Some(entry)).map(|(path, _)| path).collect();
    for path in &changed {
        tree::write(&fresh.join(path), &new.0[*path])?;
    }
    let gone = old.0.keys().filter(|path| !new.0.contains_key(*path));
    let aside = gone.chain(changed.iter().copied().filter(|path| old.0.contains_key(*path)));
    let mut moves: Vec<(PathBuf, PathBuf)> = aside.map(|path| (root.join(path), kept.join(path))).collect();
    moves.extend(changed.iter().map(|path| (fresh.join(path), root.join(path))));
    for (index, (from, to)) in moves.iter().enumerate() {
        if let Err(error) = shift(from, to) {
            for (from, to) in moves[..index].iter().rev() {
                shift(to, from).map_err(|worse| format!("{error}; and undoing it failed, too: {worse}"))?;
            }
            return Err(error);
        }
    }
    for path in old.0.keys().filter(|path| !new.0.contains_key(*path)) {
        remove_empty(root, &root.join(path));
    }
    Ok(())
}

fn shift(from: &Path, to: &Path) -> Result<(), String> {
    let folder = to.parent().expect("a path below the root");
    fs::create_dir_all(folder)
        .and_then(|()| fs::rename(from, to))
        .map_err(|error| format!("moving {} to {}: {error}", from.display(), to.display()))
}

/// Removes the folders above `path` that hold nothing any more; git does not know them.
fn remove_empty(root: &Path, path: &Path) {
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, tree: &Tree) -> Self {
            let root = std::env::temp_dir().join(format!("clone-{name}-{}", process::id()));
            tree.write(&root).unwrap();
            Self(root)
        }

        fn files(&self) -> Vec<String> {
            let mut found: Vec<String> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            found
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_present_tree_becomes_the_new_one() {
        let old = Tree::of(&[("a", "1"), ("folder/b", "2"), ("c", "3")]);
        let new = Tree::of(&[("a", "1"), ("c", "4"), ("other/d", "5")]);
        let root = Root::new("replace", &old);
        replace(&root.0, &old, &new).unwrap();
        assert_eq!(root.files(), ["a", "c", "other"]);
        assert_eq!(fs::read_to_string(root.0.join("c")).unwrap(), "4");
    }

    #[test]
    fn a_move_that_fails_half_way_leaves_all_as_it_was() {
        let old = Tree::of(&[("a", "1"), ("b", "2"), ("z", "3")]);
        let new = Tree::of(&[("a", "changed"), ("b", "changed"), ("z/below", "a file is in the way")]);
        let root = Root::new("undo", &old);
        // Not tracked, so the command does not know of it; a folder that is not empty cannot be replaced.
        let new = {
            let mut new = new;
            new.0.remove("z/below");
            new.set("z", "3");
            new.set("taken", "4");
            new
        };
        fs::create_dir_all(root.0.join("taken/by")).unwrap();
        let error = replace(&root.0, &old, &new).unwrap_err();
        assert!(error.contains("taken"), "{error}");
        assert_eq!(root.files(), ["a", "b", "taken", "z"]);
        assert_eq!(fs::read_to_string(root.0.join("a")).unwrap(), "1");
    }

    #[test]
    fn a_place_that_is_taken_or_inside_the_tree_is_refused() {
        let root = Root::new("check", &Tree::of(&[("a", "1")]));
        let inside = check(&root.0.canonicalize().unwrap(), &root.0.join("orders")).unwrap_err();
        assert!(inside.contains("inside"), "{inside}");
        assert!(check(Path::new("/nowhere"), &root.0).unwrap_err().contains("exists"));
        assert!(check(Path::new("/nowhere"), &root.0.join("no/orders")).unwrap_err().contains("No such file"));
    }
}
